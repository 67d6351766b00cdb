"""Room on the disk, and time for what is behind."""

from collections.abc import Callable
from pathlib import Path

import pytest

from services.dicom_ingest.adapters import room as rooms
from services.dicom_ingest.adapters.room import DiskRoom
from services.dicom_ingest.ports import SpoolRefused

MIB = 1 << 20


def room(
    folder: Path, *, reserve: int = 0, waiting: Callable[[], int] = int, behind: Callable[[], int] = int
) -> DiskRoom:
    return DiskRoom(folder, reserve, 2.0, waiting, behind, 100 * MIB)


def test_what_waits_counts_against_what_is_free(tmp_path: Path) -> None:
    free = room(tmp_path).free()
    room(tmp_path, reserve=free // 2).check()
    with pytest.raises(SpoolRefused, match="disk-low"):
        room(tmp_path, reserve=free // 2, waiting=lambda: free // 2).check()


@pytest.mark.parametrize(
    ("behind", "delay"), [(0, None), (100 * MIB, None), (150 * MIB, 0.01), (200 * MIB, 0.02), (10_000 * MIB, 0.02)]
)
def test_who_sends_more_than_is_landed_is_slowed_down_a_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behind: int, delay: float | None
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(rooms.time, "sleep", slept.append)
    room(tmp_path, behind=lambda: behind).brake()
    assert slept == ([] if delay is None else [delay])
