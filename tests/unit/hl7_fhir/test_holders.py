"""Whose token counts as withdrawn, for what ends with it for good: subscriptions."""

import os
from pathlib import Path

import pytest

from services.hl7_fhir.adapters.holders import Standing, holders

NOW = 1_800_000_000.0
EHR, VIEWER = (f"{who} a-token-that-is-long-enough-{who}\n" for who in ("ehr", "viewer"))


def write(path: Path, text: str, ago: float) -> None:
    """Write it in its place, so many seconds before NOW."""
    path.write_text(text)
    path.chmod(0o600)
    os.utime(path, (NOW - ago, NOW - ago))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "tokens"
    write(found, VIEWER + EHR, 60)
    return found


def test_a_file_that_is_being_written_withdraws_nobody(path: Path) -> None:
    standing_of = holders(path, clock=lambda: NOW)
    write(path, VIEWER, 0.5)
    assert standing_of("ehr") is Standing.UNSURE
    write(path, VIEWER + EHR, 0.1)
    assert standing_of("ehr") is Standing.KNOWN


def test_a_token_is_withdrawn_once_the_file_has_settled_without_it(path: Path) -> None:
    standing_of = holders(path, clock=lambda: NOW)
    write(path, VIEWER, 3)
    assert (standing_of("ehr"), standing_of("viewer")) == (Standing.WITHDRAWN, Standing.KNOWN)
    path.unlink()
    assert (standing_of("ehr"), standing_of("viewer")) == (Standing.WITHDRAWN, Standing.KNOWN)


def test_a_file_that_was_made_beside_it_and_took_its_place_counts_at_once(path: Path) -> None:
    standing_of = holders(path, clock=lambda: NOW)
    new = path.with_name("new")
    write(new, VIEWER, 10)
    new.replace(path)
    assert standing_of("ehr") is Standing.WITHDRAWN


def test_a_time_of_writing_that_lies_in_the_future_keeps_nobody(path: Path) -> None:
    standing_of = holders(path, clock=lambda: NOW)
    write(path, VIEWER, -3600)
    assert standing_of("ehr") is Standing.WITHDRAWN
