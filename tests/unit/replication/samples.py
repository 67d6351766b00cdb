"""Sealed packs for unit tests, and fakes of the ports."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from contracts.events import Blob, CopyKey, Event, PackSealed, Part, Sealed, Sections
from services.replication.domain import Write, folder
from shared.identity import SiteKey
from shared.messaging.cloudevent import Received
from tests.support.packs import copies

SITE_KEY = SiteKey(bytes(32))
RECORD = b"a wrapped key"
CONTENTS = {1: b"a" * 100, 2: b"b" * 50, 3: b"c"}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sealed(form: str = "identified") -> Sealed:
    """Three parts, lying at ``buffer/1`` and so on."""
    return Sealed(
        sealed_id="sealed",
        pack_id="pack",
        form=form,
        key_domain="hospital",
        study_key=Blob(store="keys", key="study-keys/one", size=len(RECORD), sha256=digest(RECORD)),
        instances=1,
        size=sum(len(data) for data in CONTENTS.values()),
        manifest_sha256="0" * 64,
        sections=Sections(manifest=1, headers=1, archive=1),
        parts=tuple(
            Part(number=number, key=f"buffer/{number}", size=len(data), sha256=digest(data))
            for number, data in CONTENTS.items()
        ),
    )


def pack_sealed(
    *targets: str, run: int = 0, form: str = "identified", generation: int | None = None, tier: str = "hot"
) -> PackSealed:
    """The event, for copies of ``form`` in ``targets``."""
    change = {"generation": generation, "tier": tier}
    wanted = tuple(copy.model_copy(update=change) for copy in copies(*targets, form=form))
    return PackSealed(sealed=sealed(form), copies=wanted, run=run)


def received(event: Event, deliveries: int = 1) -> Received[Any]:
    """``event`` as a handler gets it."""
    return Received(id="id", data=event, time=datetime.now(UTC), deliveries=deliveries)


@dataclass
class Said:
    """A bus that keeps what it is told."""

    events: list[Event] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

    async def publish(self, event: Event, *, id: str) -> int:  # noqa: A002
        self.events.append(event)
        self.ids.append(id)
        return len(self.events)


class RememberedCopies:
    """The port ``Copies`` in memory: whole generations, no bytes.

    ``errors`` are raised first, one a call; ``lost`` by every write.
    """

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.lost: Exception | None = None
        self.there: set[str] = set()
        self.doubted: list[bool] = []
        self.gone: set[str] = set()
        self.forgotten: list[str] = []

    async def first_kept(self, sealed: Sealed, generation: int) -> int:
        self._fail()
        while self._folder(sealed, generation) in self.gone:
            generation += 1
        return generation

    async def begun(self, copy_key: CopyKey) -> bool:
        self._fail()
        return copy_key.keys[0].rsplit("/", 1)[0] in self.there

    async def removed(self, copy_key: CopyKey) -> bool:
        self._fail()
        return copy_key.keys[0].rsplit("/", 1)[0] in self.gone

    async def write(self, write: Write) -> None:
        self._fail()
        if self.lost is not None:
            raise self.lost
        self.doubted.append(write.doubted)
        self.there.add(write.copy_key.keys[0].rsplit("/", 1)[0])

    async def remove(self, copy_key: CopyKey) -> None:
        self._fail()
        self.gone.add(copy_key.keys[0].rsplit("/", 1)[0])
        self.there.discard(copy_key.keys[0].rsplit("/", 1)[0])

    async def forget_key(self, record: str) -> None:
        self._fail()
        self.forgotten.append(record)

    def _folder(self, sealed: Sealed, number: int) -> str:
        return folder(SITE_KEY, sealed.form, sealed.sealed_id, number)

    def _fail(self) -> None:
        if self.errors:
            raise self.errors.pop(0)
