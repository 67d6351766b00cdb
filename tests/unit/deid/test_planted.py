"""The planted corpus: 99 files, 4,411 planted values, and what may become of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from services.deid.domain.options import Option
from services.deid.domain.profile import Profile
from tests.unit.deid.originals import project, trusting
from tests.unit.deid.scoring import Score, score


@pytest.fixture(scope="module")
def found(corpus: Path) -> Score:
    """The score of the corpus."""
    folder = corpus / "deid" / "planted"
    if not folder.is_dir():
        pytest.skip("no planted corpus in CAUSEWAY_TEST_DATA")
    return score(folder, project())


def test_nothing_that_was_planted_goes_out(found: Score) -> None:
    """In bytes and in values of whatever is released."""
    assert found.survivors == []
    assert found.searched > 2000


def test_what_must_stay_stays(found: Score) -> None:
    """Acquisition parameters and codes; attributes that the object needs."""
    # Without Clean Structured Content a dummy takes the place of a report's tree (code D), so its measurements go.
    assert [where for where in found.lost if "(0040,A730)" not in where] == []
    assert found.missing == []
    assert found.kept > 700


def test_everything_else_is_withheld_with_a_reason(found: Score) -> None:
    """No file is lost, none failed for a reason that nobody foresaw."""
    assert len(found.out) + len(found.withheld) == 98
    assert set(found.reasons) == {"pixels-unproven", "burned-in", "overlay-in-pixels"}
    assert len(found.out) >= 50


def test_contents_are_cleaned_and_not_replaced_where_options_ask_for_it(corpus: Path) -> None:
    """Reports keep their measurements, and nothing is withheld for what is not pixels."""
    folder = corpus / "deid" / "planted"
    if not folder.is_dir():
        pytest.skip("no planted corpus in CAUSEWAY_TEST_DATA")
    options = frozenset({Option.CLEAN_STRUCTURED_CONTENT, Option.CLEAN_GRAPHICS})
    found = score(folder, replace(trusting(), profile=Profile("x", options=options)))
    assert (found.survivors, found.lost, found.missing, found.withheld) == ([], [], [], {})
    assert found.searched > 5000


def test_headers_are_clean_even_of_objects_that_are_withheld_for_their_content(corpus: Path) -> None:
    """The header engine alone, on every kind of object: when pixels and documents can be cleaned, it is ready."""
    folder = corpus / "deid" / "planted"
    if not folder.is_dir():
        pytest.skip("no planted corpus in CAUSEWAY_TEST_DATA")
    found = score(folder, trusting())
    assert found.survivors == []
    assert not found.reasons
    assert [where for where in found.lost if "(0040,A730)" not in where] == []
