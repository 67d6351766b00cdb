"""Table E.1-1 as rules."""

from collections import Counter

import pytest

from services.deid.domain.dictionary import known_vr
from services.deid.domain.rules import Action, resolve, standard_rules

RULES = standard_rules()
CT = "1.2.840.10008.5.1.4.1.1.2"
PET = "1.2.840.10008.5.1.4.1.1.128"
RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"


def test_the_table_is_the_newest_edition_with_every_row() -> None:
    """656 rows of 2026d; the 657th, private attributes, and the three patterns are rules of their own."""
    assert RULES.edition == "2026d"
    assert len(RULES.rows) == 656 - 3
    counts = Counter(row.basic for row in RULES.rows.values())
    assert counts == {
        "X": 413, "D": 93, "U": 55, "Z": 42, "X/D": 23, "X/Z": 11, "X/Z/D": 8, "Z/D": 6, "X/Z/U*": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("code", "kind", "action"),
    [
        ("X", None, Action.REMOVE),
        ("X", "1", Action.DUMMY),
        ("X", "1C", Action.REMOVE),
        ("Z", None, Action.EMPTY),
        ("Z", "2", Action.EMPTY),
        ("Z", "1", Action.DUMMY),
        ("D", None, Action.DUMMY),
        ("U", "1", Action.NEW_UIDS),
        ("Z/D", "2", Action.EMPTY),
        ("Z/D", "1C", Action.DUMMY),
        ("X/Z", None, Action.REMOVE),
        ("X/Z", "2C", Action.EMPTY),
        ("X/D", None, Action.REMOVE),
        ("X/D", "1", Action.DUMMY),
        ("X/D", "2", Action.DUMMY),
        ("X/Z/D", "2", Action.EMPTY),
        ("X/Z/D", "1", Action.DUMMY),
        ("X/Z/U*", None, Action.CLEAN_ITEMS),
        ("X/Z/U*", "1", Action.CLEAN_ITEMS),
        ("X/Z/U*", "2", Action.CLEAN_ITEMS),
    ],
)
def test_a_compound_code_is_decided_by_the_type(code: str, kind: str | None, action: Action) -> None:
    """Table E.1-1a."""
    assert resolve(code, kind) is action


@pytest.mark.parametrize(
    ("sop_class", "tag", "kind"),
    [(CT, 0x00080021, None), (PET, 0x00080021, "1"), (PET, 0x00080022, "2"), (RTSTRUCT, 0x00081070, "2")],
)
def test_the_type_is_that_of_the_iod(sop_class: str, tag: int, kind: str | None) -> None:
    """Series Date is Type 3 in CT and Type 1 in PET."""
    assert RULES.kind(sop_class, tag) == kind


def test_below_a_sequence_the_type_is_the_strictest_of_any_module() -> None:
    """Code Meaning is Type 1 in an anatomic region."""
    assert RULES.kind(0x00082218, 0x00080104) == "1"


@pytest.mark.parametrize("tag", [0x00091010, 0x00090010, 0x60000022, 0x60021500, 0x50003000, 0x00080000, 0xFFFCFFFC])
def test_private_repeating_and_trailing_attributes_always_go(tag: int) -> None:
    """Also those that the table does not list."""
    assert RULES.goes_always(tag)


def test_every_listed_attribute_of_the_supplement_is_known_by_its_tag() -> None:
    """A typing error in a tag would open a hole or close the wrong one."""
    listed = RULES.safe_text | RULES.safe_dates | RULES.class_uids | RULES.identifying | RULES.safe_binary
    assert [f"{tag:08X}" for tag in listed if known_vr(tag) is None] == []
    assert not RULES.safe_text & set(RULES.rows)
