"""What was frozen stays as it is: a schema and its model, changed together, would agree with each other."""

import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from contracts.freeze import FOLDER, SUMS, record, recorded, sums
from tests.contract.samples import MESSAGES

ROOT = Path(__file__).parents[2]
FROZEN = pytest.mark.parametrize("folder", [FOLDER, MESSAGES], ids=lambda folder: folder.name)


@FROZEN
def test_every_frozen_file_is_what_it_was(folder: Path) -> None:
    """A file without a sum is new: run ``make schemas`` or ``python -m tests.contract.samples``."""
    assert sums(folder) == recorded(folder)


@FROZEN
def test_sums_are_only_appended_to(folder: Path) -> None:
    """Throughout the history that is here; a sum that may be edited proves nothing."""
    path = (folder / SUMS).relative_to(ROOT).as_posix()
    log = _git("log", "--reverse", "--format=%H", "--", path).split()
    states = [*(_git("show", f"{commit}:{path}") for commit in log), (folder / SUMS).read_text(encoding="utf-8")]
    assert all(later.startswith(earlier) for earlier, later in pairwise(states))


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_a_file_that_was_edited_keeps_its_sum(tmp_path: Path) -> None:
    """Recording again adds what is new, and signs nothing anew."""
    (tmp_path / "a.v1.json").write_text("{}")
    record(tmp_path)
    first = recorded(tmp_path)
    (tmp_path / "a.v1.json").write_text('{"title": "edited"}')
    (tmp_path / "a.v1.2.json").write_text("{}")
    record(tmp_path)
    assert recorded(tmp_path) == first | {"a.v1.2.json": first["a.v1.json"]}
    assert sums(tmp_path)["a.v1.json"] != first["a.v1.json"]
