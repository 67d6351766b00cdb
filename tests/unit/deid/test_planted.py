"""The planted corpus: 99 files, 4,411 planted values, and what may become of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from services.deid.adapters.pictures import ProcessPictures
from services.deid.domain.options import Option
from tests.unit.deid.originals import choosing, project, trusting
from tests.unit.deid.scoring import Score, score

#: What they look at is scored once.
together = pytest.mark.xdist_group("planted")


@pytest.fixture(scope="module")
def found(corpus: Path) -> Score:
    """The score of the corpus."""
    folder = corpus / "deid" / "planted"
    if not folder.is_dir():
        pytest.skip("no planted corpus in CAUSEWAY_TEST_DATA")
    return score(folder, project())


@together
def test_nothing_that_was_planted_goes_out(found: Score) -> None:
    """In bytes and in values of whatever is released."""
    assert found.survivors == []
    assert found.searched > 2000


@together
def test_what_must_stay_stays(found: Score) -> None:
    """Acquisition parameters and codes; attributes that the object needs."""
    # Without Clean Structured Content a dummy takes the place of a report's tree (code D), so its measurements go.
    assert [where for where in found.lost if "(0040,A730)" not in where] == []
    assert found.missing == []
    assert found.kept > 700


@together
def test_everything_else_is_withheld_with_a_reason(found: Score) -> None:
    """No file is lost, none failed for a reason that nobody foresaw."""
    assert len(found.out) + len(found.withheld) == 98
    assert set(found.reasons) == {"pixels-unproven", "burned-in"}
    assert len(found.out) >= 51


def test_headers_are_clean_even_of_objects_that_are_withheld_for_their_content(corpus: Path) -> None:
    """The header engine alone, on every kind of object: when pixels and documents can be cleaned, it is ready."""
    folder = corpus / "deid" / "planted"
    if not folder.is_dir():
        pytest.skip("no planted corpus in CAUSEWAY_TEST_DATA")
    found = score(folder, trusting())
    assert found.survivors == []
    assert not found.reasons
    assert [where for where in found.lost if "(0040,A730)" not in where] == []


EACH = [frozenset({option}) for option in Option]
#: All together, with either kind of dates.
ALL = [frozenset(Option) - {dates} for dates in (Option.FULL_DATES, Option.MODIFIED_DATES)]


@pytest.mark.parametrize("options", EACH + ALL, ids=lambda each: next(iter(each)) if len(each) == 1 else "all")
def test_with_every_option_what_it_retains_stays_and_nothing_else(
    corpus: Path, options: frozenset[Option], pictures: ProcessPictures
) -> None:
    """Every planted value has the fate that the key gives it under the option, and under all of them together.

    Frames of JPEG-LS are decoded as in the service; here, which takes long, where it would look for text in pictures.
    """
    folder = corpus / "deid" / "planted"
    if not folder.is_dir():
        pytest.skip("no planted corpus in CAUSEWAY_TEST_DATA")
    looks = Option.CLEAN_PIXEL_DATA in options
    found = score(folder, replace(choosing(*options), pictures=None if looks else pictures))
    assert found.survivors == found.missing == []
    assert not found.reasons
    content = Option.CLEAN_STRUCTURED_CONTENT in options
    assert [where for where in found.lost if content or "(0040,A730)" not in where] == []
    assert found.kept > 1550
