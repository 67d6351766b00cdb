"""A sealed pack in memory, and fakes of the ports."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from contracts.events import Blob, CopyAbsent, CopyKey, CopyWritten, Part, Sealed, Sections
from contracts.formats import archive, sealed
from contracts.formats.headers import header_line
from contracts.formats.manifest import Instance, Manifest, place, write_manifest
from services.verification.domain.copies import Absence, Cause, KnownCopy, Outcome
from services.verification.domain.proving import Proof
from tests.support.packs import make_file, sha256

STUDY_KEY = bytes(range(32))
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class SealedPack:
    """``count`` instances, sealed and cut in parts of ``part`` bytes. What the manifest claims can be falsified."""

    def __init__(self, count: int = 3, part: int = 10**9, claims: dict[str, object] | None = None, **size: int) -> None:
        files = [make_file(seed, **size) for seed in range(count)]
        placed = tuple(place(instance for _, instance in files))
        contents = {instance.entry: data for instance, (data, _) in zip(placed, files, strict=True)}
        body = b"".join(archive.iterate(placed, lambda instance: [contents[instance.entry]]))
        lines = b"".join(header_line(instance.entry, {}) for instance in placed)
        instances = self._claimed(placed, claims or {})
        manifest = write_manifest(Manifest(form="identified", id="pack", instances=instances))
        sections = Sections(manifest=len(manifest), headers=len(lines), archive=len(body))
        key = sealed.new_object_key()
        header = sealed.prepare(
            sealed_id="sealed",
            form="identified",
            key_domain="hospital",
            study_key_id="key",
            study_key=STUDY_KEY,
            object_key=key,
            sections=sections,
        )
        self.data = b"".join(sealed.seal([manifest, lines, body], header, key))
        self.parts = [self.data[start : start + part] for start in range(0, len(self.data), part)]
        self.told = self._told(sections, sha256(manifest), count)

    def _claimed(self, placed: tuple[Instance, ...], claims: dict[str, object]) -> tuple[Instance, ...]:
        return (*placed[:-1], placed[-1].model_copy(update=claims))

    def _told(self, sections: Sections, manifest_sha256: str, count: int) -> Sealed:
        return Sealed(
            sealed_id="sealed",
            pack_id="pack",
            form="identified",
            key_domain="hospital",
            study_key=Blob(store="keys", key="study-keys/key", size=1),
            study_ref="study",
            instances=count,
            size=len(self.data),
            manifest_sha256=manifest_sha256,
            sections=sections,
            parts=tuple(
                Part(number=number, key=f"p/{number}", size=len(data), sha256=sha256(data))
                for number, data in enumerate(self.parts, start=1)
            ),
        )


def copy_key(target: str = "a", generation: int = 1, sealed_id: str = "sealed") -> CopyKey:
    """A copy of one part."""
    return CopyKey(
        sealed_id=sealed_id,
        pack_id="pack",
        form="identified",
        target=target,
        tier="hot",
        key_domain="hospital",
        generation=generation,
        keys=("f/0001",),
    )


def known(key: CopyKey | None = None) -> KnownCopy:
    """A written copy."""
    return KnownCopy(key or copy_key(), SealedPack(1).told, NOW, "written")


def copy_written(target: str = "a", generation: int = 1, run: int = 0) -> CopyWritten:
    """The event of it."""
    return CopyWritten(copy_key=copy_key(target, generation), sealed=SealedPack(1).told, written=NOW, run=run)


class Outcomes:
    """The port ``Reading``: gives (or raises) what it is told, and counts."""

    def __init__(self, *outcomes: Outcome | Exception) -> None:
        self.outcomes = list(outcomes)
        self.read = 0
        self.gone: Absence | None = None
        self.asked: list[str | None] = []

    async def absence(self, copy_key: CopyKey, study_key: str | None) -> Absence | None:
        self.asked.append(study_key)
        return self.gone

    async def prove(self, copy: KnownCopy) -> Outcome:
        self.read += 1
        outcome = self.outcomes.pop(0) if self.outcomes else Proof(1, 1)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class RememberedLedger:
    """The port ``Ledger`` in memory; ``said`` is what would leave through the outbox: copy, outcome, step, run."""

    def __init__(self) -> None:
        self.copies: dict[tuple[str, str, int], KnownCopy] = {}
        self.seen: set[str] = set()
        self.expired: set[tuple[str, str, int]] = set()
        self.waiting: list[tuple[str, str, int]] = []
        self.said: list[tuple[str, int, object, str, int]] = []
        self.absent: list[CopyAbsent] = []

    async def tell_absent(self, fact: CopyAbsent) -> None:
        self.absent.append(fact)

    async def find(self, copy_key: CopyKey) -> KnownCopy | None:
        return self.copies.get(_place(copy_key))

    async def settled(self, event_id: str, copy_key: CopyKey) -> bool:
        return event_id in self.seen or _place(copy_key) in self.expired

    async def record(self, copy: KnownCopy, outcome: Outcome, cause: Cause) -> None:
        if cause.event_id in self.seen or _place(copy.copy_key) in self.expired:
            return
        old = self.copies.get(_place(copy.copy_key))
        proofs = cause.run if cause.event_id is None else old.proofs if old else 0
        proven = isinstance(outcome, Proof)
        self.copies[_place(copy.copy_key)] = replace(
            copy, state="proven" if proven else "damaged", proven=datetime.now(UTC) if proven else None, proofs=proofs
        )
        self._say(copy, "proven" if proven else outcome, cause)

    async def repeat(self, copy: KnownCopy, cause: Cause) -> None:
        if cause.event_id not in self.seen:
            self._say(copy, "proven", cause)

    async def expire(self, copy_key: CopyKey) -> None:
        self.expired.add(_place(copy_key))
        self.copies.pop(_place(copy_key), None)

    async def due(self, target: str, limit: int) -> Sequence[KnownCopy]:
        mine = [place for place in self.waiting if place[1] == target and place in self.copies][:limit]
        self.waiting = [place for place in self.waiting if place not in mine]
        return [self.copies[place] for place in mine]

    async def make_due(self, *, sealed_id: str | None = None, study_ref: str | None = None) -> int:
        self.waiting = [
            place
            for place, copy in self.copies.items()
            if copy.state == "proven"
            and sealed_id in (None, copy.copy_key.sealed_id)
            and study_ref in (None, copy.sealed.study_ref)
        ]
        return len(self.waiting)

    def _say(self, copy: KnownCopy, outcome: object, cause: Cause) -> None:
        if cause.event_id is not None:
            self.seen.add(cause.event_id)
        self.said.append((copy.copy_key.target, copy.copy_key.generation, outcome, cause.step, cause.run))


def _place(key: CopyKey) -> tuple[str, str, int]:
    return key.sealed_id, key.target, key.generation
