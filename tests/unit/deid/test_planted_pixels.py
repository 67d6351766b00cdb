"""The planted corpus's burned-in text: 125 boxes with the mask of their lettering."""

from pathlib import Path

import pytest

from services.deid.adapters.pictures import ProcessPictures
from tests.unit.deid.pictures import cleaning
from tests.unit.deid.pixel_scoring import PixelScore, score_pixels

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.xdist_group("planted-pixels")]


@pytest.fixture(scope="module")
def found(corpus: Path, pictures: ProcessPictures) -> PixelScore:
    """The score of the corpus."""
    folder = corpus / "deid" / "planted"
    if not folder.is_dir():
        pytest.skip("no planted corpus in CAUSEWAY_TEST_DATA")
    score = score_pixels(folder, cleaning(pictures))
    print("\nhidden, boxes, lower bound of 95 %:", score.recall())
    return score


def test_every_box_is_hidden(found: PixelScore) -> None:
    """In every frame that has it, in every modality."""
    assert found.seen == []
    assert sum(found.boxes.values()) == 125


def test_pictures_are_cleaned_not_withheld(found: PixelScore) -> None:
    """What is withheld is so for other content than pixels."""
    assert set(found.withheld.values()) <= {"encapsulated-document", "structured-content"}


def test_pixels_away_from_text_stay(found: PixelScore) -> None:
    """But for a line that was found too long: at most one in a hundred, and hardly any over all."""
    assert {name: part for name, part in found.changed.items() if part > 0.01} == {}
    assert sum(found.changed.values()) / len(found.changed) < 0.002


def test_pictures_without_text_keep_every_bit(found: PixelScore) -> None:
    """Ultrasound, radiograph and slice without text, and the slices of the other folders."""
    assert len(found.untouched) > 50
    assert not [name for name in found.changed if name.startswith(("series", "rows", "nested", "dates"))]
