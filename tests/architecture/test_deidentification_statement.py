"""The de-identification statement is that of the shipped profiles, and leaves no attribute out."""

from pathlib import Path

import pytest

from cli.conformance.deidentification import PATH, PROFILES, page
from cli.describe import ROOT
from services.deid.domain.options import Option
from services.deid.domain.pictures.policy import PicturePolicy
from services.deid.domain.profile import Profile
from services.deid.domain.profile_file import read_profile
from services.deid.domain.rules import standard_rules
from services.deid.domain.statement import statement_of


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / PATH).read_text() == page(), "run `make flow`"


@pytest.mark.parametrize("path", sorted(PROFILES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_attribute_of_the_table_and_every_option_is_in_the_statement(path: Path) -> None:
    profile = read_profile(path.read_text())
    text = statement_of(profile)
    for row in standard_rules().rows.values():
        assert f"({row.tag[:4]},{row.tag[4:]})" in text
    for option in Option:
        assert (option.code.value in text) is profile.has(option)
    assert "nonymous" not in text


def test_it_says_what_a_profile_asks_of_pictures() -> None:
    """Each setting makes a difference, and none is told of where pixels are not cleaned."""
    cleaned = frozenset({Option.CLEAN_PIXEL_DATA})
    policies = (
        PicturePolicy(),
        PicturePolicy(known_devices_only=True),
        PicturePolicy(secondary_capture=False),
        PicturePolicy(only_ultrasound_regions=True),
    )
    plain, known, captures, regions = [statement_of(Profile("x", options=cleaned, pictures=one)) for one in policies]
    assert "does not know are searched for text" in plain and "Secondary captures" not in plain
    assert "where the catalogue knows their device" in known
    assert "Secondary captures do not go out" in captures
    assert "(0018,6011) is blanked unseen" in regions and "(0018,6011) is blanked unseen" not in plain
    assert "Pixels are not cleaned" in statement_of(Profile("x")) and "Pixels are not cleaned" not in plain


def test_it_says_what_becomes_of_faces() -> None:
    """They go out, are held, or are held for the option that nothing recognisable goes out under."""
    option = frozenset({Option.CLEAN_VISUAL_FEATURES})
    plain, holding, strict = (
        statement_of(each) for each in (Profile("x"), Profile("x", hold_faces=True), Profile("x", options=option))
    )
    assert "faces are not removed" in plain and "may show a face go out" in plain
    assert "are held for a decision." in holding and "(0028,0302)" not in holding.split("### What becomes")[0]
    assert "photographs of eyes" in strict and "say NO to Recognizable Visual Features (0028,0302)" in strict


def test_it_says_what_a_profile_makes_of_dates_and_of_pseudonyms() -> None:
    modified = statement_of(Profile("x", options=frozenset({Option.MODIFIED_DATES})))
    assert "move back by the same number of whole weeks" in modified
    harbor = statement_of(read_profile((PROFILES / "safe_harbor.yaml").read_text()))
    assert "1 January of their year" in harbor and "random and derived from nothing" in harbor
