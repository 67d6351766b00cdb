"""A site of the three services that make, write and prove copies, on a real bus."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml

from contracts.events import (
    BY_SUBJECT,
    Batch,
    BatchArchived,
    CopyDamaged,
    CopyKey,
    CopyVerified,
    CopyWritten,
    Event,
    ProvenCopy,
)
from services.encryption import app as encryption
from services.encryption.config import Settings as EncryptionSettings
from services.replication import app as replication
from services.replication.config import Settings as ReplicationSettings
from services.verification import app as verification
from services.verification.config import Settings as VerificationSettings
from shared.identity import SiteKey
from shared.messaging.bus import Bus
from shared.messaging.cloudevent import decode
from shared.service import Service
from shared.storage import BlobStore, FilesystemStore, open_store
from tests.support.nats import NatsServer
from tests.support.packs import make_file, store_batch
from tests.support.provisioning import provision_for
from tests.support.services import eventually, living

E = TypeVar("E", bound=Event)

BUILDS: dict[str, tuple[Callable[[Any], Service], type]] = {
    "encryption": (encryption.build, EncryptionSettings),
    "replication": (replication.build, ReplicationSettings),
    "verification": (verification.build, VerificationSettings),
}


class Site:
    """Folders, keys, targets and a bus. ``clouds`` adds targets to the on-site one, as targets.yaml has them."""

    #: What may run in it.
    services: tuple[str, ...] = tuple(BUILDS)

    def __init__(self, folder: Path, server: NatsServer, clouds: dict[str, dict[str, Any]] | None = None) -> None:
        self.folder, self.server = folder, server
        self.targets = {"onsite": self.folder_target("onsite"), **(clouds or {})}
        (folder / "targets.yaml").write_text(yaml.safe_dump({"targets": self.targets}))
        SiteKey.create(folder / "site.key")
        self.landing = FilesystemStore(folder / "landing")
        self.sealed = FilesystemStore(folder / "sealed")

    def folder_target(self, name: str) -> dict[str, Any]:
        """A target in a folder."""
        return {
            "kind": "filesystem",
            "url": f"file://{self.folder / name}",
            "jurisdiction": "de",
            "forms": ["identified", "deidentified"],
        }

    def values(self, name: str, **others: Any) -> dict[str, Any]:
        """The settings of a service."""
        stores = {f"{each}_url": f"file://{self.folder / each}" for each in ("landing", "deid", "sealed", "keys")}
        return {
            "nats_url": self.server.url,
            "site_key_file": self.folder / "site.key",
            "targets_file": self.folder / "targets.yaml",
            "kek_dir": self.folder / "kek",
            "database_url": f"sqlite:///{self.folder / name}.db",
            "breaker_first": 0.1,
            "breaker_longest": 0.5,
            "reprove_look_every": 0.5,
            **stores,
            **others,
        }

    def environment(self, name: str) -> dict[str, str]:
        """The same settings for a process of its own."""
        return {f"CAUSEWAY_{key.upper()}": str(value) for key, value in self.values(name).items()}

    def service(self, name: str, **others: Any) -> Service:
        """One of the three, built."""
        build, settings = BUILDS[name]
        return build(settings.model_validate(self.values(name, **others)))

    @asynccontextmanager
    async def running(self, *names: str, **others: Any) -> AsyncIterator[None]:
        """The bus provisioned, and the named services (or all) alive."""
        await self.provision()
        async with contextlib.AsyncExitStack() as stack:
            for name in names or tuple(BUILDS):
                await stack.enter_async_context(living(self.service(name, **others)))
            yield

    async def provision(self, ack_wait: float = 30) -> None:
        """Streams, and consumers of the services; what a dead process had comes again after ``ack_wait`` seconds."""
        await provision_for(self.server, self.services, {"target": list(self.targets)}, ack_wait=ack_wait)

    async def batch(self, instances: int = 3, seed: int = 0, **size: int) -> Batch:
        """A landing batch."""
        return await store_batch(self.landing, [make_file(seed + number, **size) for number in range(instances)])

    async def say(self, event: Event, id: str) -> None:  # noqa: A002
        """Publish as another service would."""
        bus = Bus(self.server.settings(), "test")
        await bus.connect()
        try:
            await bus.publish(event, id=id)
        finally:
            await bus.close()

    async def told(self) -> list[tuple[str, Event]]:
        """Every event in the stream, with its id, in order."""
        async with self.server.jetstream() as jetstream:
            state = (await jetstream.stream_info("IMAGING")).state
            found = []
            for sequence in range(state.first_seq, state.last_seq + 1):
                message = await jetstream.get_msg("IMAGING", sequence)
                envelope = decode(message.data, BY_SUBJECT[message.subject])
                found.append((envelope.id, envelope.data))
            return found

    async def said(self, kind: type[E]) -> list[E]:
        """The events of one kind."""
        return [event for _, event in await self.told() if isinstance(event, kind)]

    async def until(self, kind: type[E], truth: Callable[[list[E]], Any], within: float = 90) -> list[E]:
        """The events of one kind, as soon as they fulfil ``truth``."""
        found: list[E] = []

        async def look() -> bool:
            found[:] = await self.said(kind)
            return bool(truth(found))

        try:
            await eventually(look, within)
        except AssertionError:
            raise AssertionError(f"{kind.__name__}: {found}; told: {await self._summary()}") from None
        return found

    async def release(self) -> None:
        """Say what the ledger says when every copy is proven, and wait until the sealing buffer is empty."""
        verified = await self.said(CopyVerified)
        fields = set(ProvenCopy.model_fields)
        archived = BatchArchived(
            batch_id="batch",
            study_uid=None,
            study_ref="study",
            pack_ids=("pack",),
            sealed_ids=tuple({event.copy_key.sealed_id for event in verified}),
            copies=tuple(ProvenCopy(proven=e.proven, **e.copy_key.model_dump(include=fields)) for e in verified),
            withheld=0,
        )
        await self.say(archived, "archived")

        async def empty() -> bool:
            return not [key for key in await objects(self.sealed) if key.startswith("parts/")]

        await eventually(empty)

    async def idle(self) -> bool:
        """Whether no consumer has anything left to do."""
        async with self.server.jetstream() as jetstream:
            infos = await jetstream.consumers_info("IMAGING")
        mine = [info for info in infos if info.name.split("_")[0] in BUILDS]
        return all(info.num_pending == 0 and info.num_ack_pending == 0 for info in mine)

    async def dead_letters(self) -> int:
        """How many there are."""
        async with self.server.jetstream() as jetstream:
            return (await jetstream.stream_info("DEADLETTERS")).state.messages

    async def _summary(self) -> str:
        told = [(type(event).__name__, _place(event)) for _, event in await self.told()]
        async with self.server.jetstream() as jetstream:
            state = (await jetstream.stream_info("DEADLETTERS")).state
            letters = [await jetstream.get_msg("DEADLETTERS", n) for n in range(state.first_seq, state.last_seq + 1)]
        return json.dumps([told, [letter.headers for letter in letters if state.messages]], default=str)

    def copies_of(self, told: Iterable[CopyWritten | CopyVerified], target: str) -> dict[int, CopyKey]:
        """The generations in one target of which there was told."""
        return {event.copy_key.generation: event.copy_key for event in told if event.copy_key.target == target}

    def store(self, target: str) -> BlobStore:
        """The data of a filesystem target."""
        return open_store(self.targets[target]["url"])

    def flip(self, path: Path, offset: int = 5000) -> None:
        """Change one byte of a file."""
        data = bytearray(path.read_bytes())
        data[offset % len(data)] ^= 1
        path.write_bytes(data)


def _place(event: Event) -> object:
    if isinstance(event, CopyWritten | CopyVerified | CopyDamaged):
        return (event.copy_key.target, event.copy_key.generation, event.run)
    return getattr(event, "reason", None)


def places(events: Iterable[CopyWritten | CopyVerified | CopyDamaged]) -> set[tuple[str, int]]:
    """Target and generation of each."""
    return {(event.copy_key.target, event.copy_key.generation) for event in events}


async def objects(store: BlobStore) -> set[str]:
    """The keys of a store."""
    return {blob.key async for blob in store.list("")}


async def settle(seconds: float = 0.5) -> None:
    """Give what should not happen the time to happen."""
    await asyncio.sleep(seconds)
