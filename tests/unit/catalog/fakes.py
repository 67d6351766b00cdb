"""Fakes of the catalogue's ports: they keep what they are told, and answer what they are given."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from contracts.events import Batch, Blob, CopyKey
from contracts.formats.headers import Header
from contracts.formats.manifest import Instance, Manifest
from services.catalog.domain import arrival
from services.catalog.domain.search import Search
from services.catalog.domain.telling import Due, Word


@dataclass
class FakeDocuments:
    """Documents by key."""

    manifests: dict[str, Manifest] = field(default_factory=dict)
    linked: list[dict[str, str]] = field(default_factory=list)
    kept: list[bytes] = field(default_factory=list)

    async def manifest(self, blob: Blob) -> Manifest:
        return self.manifests[blob.key]

    async def headers(self, batch: Batch) -> AsyncIterator[Header]:
        for number, _ in enumerate(self.manifests[batch.manifest.key].instances):
            yield Header(entry=f"{number + 1:06}.dcm", header={"00200013": {"vr": "IS", "Value": [number]}})

    async def links(self, blob: Blob) -> list[dict[str, str]]:
        return self.linked

    async def references(self, blob: Blob) -> tuple[str, ...]:
        return (blob.key,)

    async def keep_summary(self, key: str, document: bytes) -> Blob:
        self.kept.append(document)
        return Blob(store="summaries", key=key, size=len(document))


@dataclass
class FakeIndex:
    """What was put into the index."""

    batches: list[arrival.Batch] = field(default_factory=list)
    entries: dict[str, list[tuple[bytes, Instance]]] = field(default_factory=dict)
    copies: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    told: list[tuple[str, Any]] = field(default_factory=list)

    async def register(self, batch: arrival.Batch) -> None:
        self.batches.append(batch)

    async def archive_batch(self, event: Any, when: float) -> None:
        self.told.append(("archived", when))

    async def add_order(self, order: Any) -> None:
        self.told.append(("ordered", order))

    async def cancel_order(self, order: Any) -> None:
        self.told.append(("cancelled", order))

    async def add_merge(self, event: Any) -> None:
        self.told.append(("merged", event))

    async def add_report(self, reported: Any) -> None:
        self.told.append(("reported", reported))

    async def add_entries(self, pack_id: str, entries: Iterable[tuple[bytes, Instance]]) -> None:
        self.entries[pack_id] = list(entries)

    async def add_deidentified(self, event: Any, entries: Iterable[tuple[bytes, Instance]]) -> None:
        await self.add_entries(event.pack_id, entries)
        self.told.append(("deidentified", event))

    async def add_withheld(self, event: Any) -> None:
        self.told.append(("withheld", event))

    async def add_recalled(self, event: Any) -> None:
        self.told.append(("recalled", event))

    async def add_sealed(self, sealed: Any) -> None:
        self.told.append(("sealed", sealed))

    async def add_copy(self, key: CopyKey, state: str, **facts: Any) -> None:
        self.copies.append((state, facts))


@dataclass
class FakeStudies:
    """Studies that are due; ``ours`` words may be said before the lease is lost."""

    waiting: list[Due]
    newest: float = 0
    ours: int = 1000
    said: list[Word] = field(default_factory=list)

    async def due(self) -> Sequence[Due]:
        return self.waiting

    async def newest_event(self) -> float:
        return self.newest

    async def summary(self, due: Due) -> bytes:
        return due.study_uid.encode()

    async def say(self, word: Word) -> bool:
        if len(self.said) >= self.ours:
            return False
        self.said.append(word)
        return True


@dataclass
class FakeBacklog:
    """A stream that is registered up to its end, or not."""

    empty: bool = True

    async def is_empty(self) -> bool:
        return self.empty


@dataclass
class FakeQuestions:
    """An index that gives the same answer to every search."""

    answer: list[dict[str, Any]] = field(default_factory=list)
    more: bool = False
    asked: list[Any] = field(default_factory=list)

    async def search(self, query: Search, base: str) -> tuple[list[dict[str, Any]], bool]:
        self.asked.append((query, base))
        return self.answer, self.more

    async def overview(self, study_uid: str | None) -> dict[str, Any]:
        return {"studies": [study_uid]}

    async def where(self, sop_uid: str) -> dict[str, Any] | None:
        return {"sop_instance_uid": sop_uid} if sop_uid == "1.2" else None

    async def where_all(self, study_uid: str | None) -> list[dict[str, Any]]:
        return [{"of": study_uid}]
