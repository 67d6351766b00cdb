"""Ended associations wait for the bus as files."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts.events import AssociationEnded
from services.dicom_ingest.adapters.farewells import FarewellFiles
from shared.errors import RetryLater, Unprocessable


def ended(association_id: str) -> AssociationEnded:
    now = datetime.now(UTC)
    return AssociationEnded(
        association_id=association_id,
        how="released",
        stored=1,
        refused=0,
        batches=("a",),
        study_refs=("s",),
        started=now,
        ended=now,
    )


async def run(folder: Path, tell: Callable[[AssociationEnded, str | None], Awaitable[None]]) -> FarewellFiles:
    """Keep two associations, damage what lies there already, and tell for a moment."""
    farewells = FarewellFiles(folder, tell)
    farewells.keep(ended("first"), None)
    farewells.keep(ended("second"), "00-trace")
    with suppress(TimeoutError):
        await asyncio.wait_for(farewells.run(), 0.3)
    return farewells


async def test_each_is_told_with_its_trace_and_then_forgotten(tmp_path: Path) -> None:
    told: list[tuple[str, str | None]] = []

    async def tell(event: AssociationEnded, traceparent: str | None) -> None:
        told.append((event.association_id, traceparent))

    await run(tmp_path, tell)
    assert told == [("first", None), ("second", "00-trace")]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"\n{", b"\n\xff\xfe"])
async def test_one_that_a_power_cut_has_emptied_is_kept_for_a_person_and_stops_nothing(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "cut.ended").write_bytes(content)
    told: list[str] = []

    async def tell(event: AssociationEnded, traceparent: str | None) -> None:
        told.append(event.association_id)

    await run(tmp_path, tell)
    assert told == ["first", "second"]
    assert [path.name for path in tmp_path.iterdir()] == ["cut.ended-damaged"]


async def test_one_that_can_never_be_told_stops_no_other_and_a_bus_outage_loses_none(tmp_path: Path) -> None:
    async def refuse(event: AssociationEnded, traceparent: str | None) -> None:
        raise Unprocessable("too-large") if event.association_id == "first" else RetryLater("bus-away")

    await run(tmp_path, refuse)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.ended-damaged", "second.ended"]
