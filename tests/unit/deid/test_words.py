"""The table of words that may stay in free text."""

from importlib.resources import files

import pytest
import yaml

from services.deid.domain.folding import spellings
from services.deid.domain.words import allowed_words


def test_the_table_is_made_from_the_list() -> None:
    """An edit of words.yaml needs generate_words.py."""
    listed = yaml.safe_load((files("services.deid.domain") / "tables" / "words.yaml").read_text("utf-8"))
    words = allowed_words()
    for lines, found in (
        (listed["words"].values(), words.content),
        (listed["function_words"].values(), words.functions),
        ([listed["units"]], words.units),
        ([listed["pieces"]], words.pieces),
        ([listed["particles"]], words.particles),
        ([listed["titles"]], words.titles),
    ):
        assert {each for line in lines for word in line.split() for each in spellings(word)} <= found


NAMES = """smith johnson williams brown jones garcia miller davis mary john robert maria müller schmidt schneider
    fischer klein wagner becker hoffmann dupont moreau rossi ferrari lopez martinez jansen nguyen wang chen kim tanaka
    hounsfield grace rose will mark bill frank grant gray green white black young king baker hunter berlin
    paris london boston"""


@pytest.mark.parametrize("name", NAMES.split())
def test_names_of_people_and_places_may_not_stay(name: str) -> None:
    words = allowed_words()
    assert not spellings(name) & (words.content | words.functions)


@pytest.mark.parametrize("word", ["chest", "lungs", "unchanged", "nodules", "thickening", "schaedel", "schadel"])
def test_words_of_radiology_may_stay(word: str) -> None:
    assert word in allowed_words().content
