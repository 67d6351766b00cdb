"""Descriptions and comments: the harmless words stay, everything else goes."""

import pytest

from services.deid.domain.dataset import Element
from services.deid.domain.free_text import FreeText
from services.deid.domain.identifiers import Identifiers
from services.deid.domain.rules import standard_rules


def cleaner(*elements: Element) -> FreeText:
    """What cleans the texts of a study with these identifiers."""
    names = Identifiers(standard_rules())
    names.note_all(
        elements
        or [
            Element(0x00080090, "PN", b"House^Gregory"),
            Element(0x00100010, "PN", b"Kilmister^Ian Fraser"),
            Element(0x00100020, "LO", b"ZJ77418176"),
        ]
    )
    return FreeText(names)


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        ("CHEST for KILMISTER 4WPLPW72", "CHEST"),
        ("Schädel seitlich, Hr. Müller", "Schädel seitlich"),
        ("Nodule in the right lobe of Mr. Stissokrak, unchanged", "Nodule in the right lobe of unchanged"),
        ("Follow-up of nodule (MRN ZJ77418176) RNXJTFP4", "Follow-up of nodule"),
        ("seen on 27 November 2009", "seen"),
        ("Report phoned to (930) 795-8691", "Report phoned"),
        ("94-year-old, no effusion", "no effusion"),
        ("t1_vibe_dixon_tra_p4", "t1_vibe_dixon_tra_p4"),
        ("120 kV 5% T12 L4/5 3 mm w/o +c", "120 kV 5% T12 L4/5 3 mm w/o +c"),
        ("Axial EPI-FMRI (Sequential I to S)", "Axial EPI-FMRI (Sequential I to S)"),
        ("seen by House", "seen"),
        ("", ""),
    ],
)
def test_harmless_words_stay(text: str, stays: str) -> None:
    assert cleaner().clean(text) == stays
