"""What files say, read again when they change, and when they could not be read for a reason that may pass."""

from pathlib import Path

import pytest

from shared import watched
from shared.watched import Watched


class Reads:
    """Reads a file of one number, unless there is a trouble."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.trouble: OSError | None = None
        self.count = 0

    def __call__(self) -> int:
        """OSError for the trouble, ValueError for what is no number."""
        self.count += 1
        if self.trouble:
            raise self.trouble
        return int(self._path.read_text())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "number"
    found.write_text("1")
    return found


def test_a_change_counts_and_one_that_is_wrong_changes_nothing(path: Path) -> None:
    reads = Reads(path)
    value = Watched("number", [path], reads)
    assert (value.get(), reads.count) == (1, 1)
    path.write_text("22")
    assert value.get() == 22
    path.write_text("none")
    assert (value.get(), value.get(), reads.count) == (22, 22, 3)
    path.write_text("4444")
    assert value.get() == 4444


def test_a_file_that_could_not_be_read_is_tried_again_in_a_while(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(watched.time, "monotonic", lambda: now)
    reads = Reads(path)
    value = Watched("number", [path], reads)
    reads.trouble = OSError(5, "the disk does not answer")
    path.write_text("22")
    assert (value.get(), value.get(), reads.count) == (1, 1, 2), "not at every question"
    now = 6.0
    assert (value.get(), reads.count) == (1, 3)
    reads.trouble = None
    assert (value.get(), reads.count) == (1, 3)
    now = 12.0
    assert (value.get(), value.get(), reads.count) == (22, 22, 4)


def test_one_that_cannot_be_read_at_first_is_told(path: Path) -> None:
    path.unlink()
    with pytest.raises(FileNotFoundError):
        Watched("number", [path], Reads(path))
