"""Descriptions and comments: the harmless words stay, everything else goes."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.deid.adapters.recognizers import load_recognizer
from services.deid.domain.dataset import EXPLICIT_LITTLE, Element, TooMuch, encode
from services.deid.domain.file_meta import file_meta
from services.deid.domain.free_text import LONGEST, MOST, FreeText
from services.deid.domain.identifiers import Identifiers
from services.deid.domain.options import Option
from services.deid.domain.profile import Profile
from services.deid.domain.recognizer import Recognizer
from services.deid.domain.rules import standard_rules
from services.deid.domain.withholding import Reason, Withheld
from services.deid.domain.words import allowed_words
from tests.unit.deid.originals import clean, trusting


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


@pytest.mark.parametrize(
    "text",
    [
        "seen 3rd of March, 2011 14:35:22", "le 3 mars 2011 à 14h35", "am 3.3.11", "03-JAN-1960", "Jan 3 1960",
        "1960 Jan 3", "2011/03/03", "20110303", "27.11.2009 14:35 Uhr", "3/1/60", "3. Dezember", "May 27",
        "昭和61年10月13日", "03/2011", "S61.10.13", "S61.1.3", "3-III-2011", "3. iii. 11", "Mar '11", "2011:03:03",
    ],
)  # fmt: skip
def test_dates_go_in_every_form_and_language(text: str) -> None:
    assert not any(each.isdigit() for each in cleaner().clean(text))


@pytest.mark.parametrize(
    "text",
    [
        "Tel. 06221/123456", "tel 555-1234", "+49 (0) 6221 12 34 56", "(930) 795-8691", "ext. 4711", "MRN: 12345",
        "ID#123", "acc# A12-345", "SSN 123-45-6789", "192.168.1.5", "1.2.840.10008.5.1.4", "8472655", "1234-5678",
        "AB12345", "room 1204", "case 471", "S19-1234", "http://host.example/x", "ian@host.example",
        "00:1A:2B:3C:4D:5E", "06 12 34 56 78", "+33 6 12 34 56 78", "AB 12 34 56 C",
    ],
)  # fmt: skip
def test_numbers_and_addresses_of_people_and_cases_go(text: str) -> None:
    cleaned = cleaner().clean(f"chest {text} unchanged")
    assert not any(each.isdigit() for each in cleaned)
    assert "chest" in cleaned
    assert "host" not in cleaned


@pytest.mark.parametrize(
    "text",
    [
        "10115 Berlin", "Hauptstr. 5", "Lange Straße 12", "12 Long Lane", "221B Park Road, Apt 4", "Calle Mayor 5",
        "5 rue de la Paix 75002 Paris", "Via Roma 12", "P.O. Box 123",
    ],
)  # fmt: skip
def test_addresses_go(text: str) -> None:
    assert cleaner().clean(text) == ""


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        ("Dr Long reviewed", "reviewed"),
        ("MR. SMALL brain", "brain"),
        ("MR BRAIN W/WO", "MR BRAIN W/WO"),
        ("Mrs Stone called", "called"),
        ("Frau Dr. Hand, Hand links", "Hand links"),
        ("Mme Main, main gauche", "main gauche"),
        ("Dr. med. Hans von der Tann: Schädel", "Schädel"),
        ("Signed by: Long", ""),
        ("Long, MD", ""),
        ("J.B. chest", "chest"),
        ("Xaver Long, arm", "arm"),
        ("Long, Xaver: arm", "arm"),
        ("Long arm", "Long arm"),
        ("c h e s t", ""),
    ],
)
def test_what_a_title_names_goes_though_it_is_a_word(text: str, stays: str) -> None:
    assert cleaner().clean(text) == stays


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        ("94 yo male", "male"),
        ("093Y", ""),
        ("89 years old", "89 years old"),
        ("lung, 94 år", "lung"),
        ("肺 94歳, lung", "lung"),
        ("lung 94 лет", "lung"),
        ("lung F/94", "lung"),
        ("lung 94M", "lung"),
        ("lung, female, 94", "lung"),
        ("lung 94 female", "lung"),
        ("lung female 89", "lung female 89"),
        ("male 94 kg", "male 94 kg"),
        ("lung of man 94.5 mm", "lung of man 94.5 mm"),
    ],
)
def test_ages_above_eighty_nine_go(text: str, stays: str) -> None:
    """45 CFR 164.514(b)(2)(i)(C)."""
    assert cleaner().clean(text) == stays


@pytest.mark.parametrize(
    "text",
    [
        "CT, HEAD/BRAIN WO CONTRAST", "t2_tse_sag_320", "XR L-SPINE 2 OR 3 VIEWS", "Lung 1.0 CE  Br40d", "DWI b=1000",
        "ADC (10^-6 mm²/s)", "3D MPRAGE ISO 1mm", "US OB <14 WKS", "CT T/A/P", "t1sagknee", "JPEG 2000 lossless 18:1",
        "The liver measures 15.2 cm. There is a 1.2 x 0.8 cm hypodense lesion in segment 7.", "compression ratio 2.917",
        "Nachweis einer Raumforderung im rechten Oberlappen", "RM de columna lumbar sin contraste",
        "IRM cérébrale avec injection de gadolinium", "10 rows of (255,128,128)", "white matter lesion",
    ],
)  # fmt: skip
def test_descriptions_of_radiology_stay_as_they_are(text: str) -> None:
    assert cleaner().clean(text) == text


@pytest.mark.parametrize("text", ["for the", "12", "1", "A", "of 12 and 3", "\u5c71\u7530", "\ufffd\ufffd"])
def test_what_says_nothing_goes(text: str) -> None:
    """A number alone may be anything."""
    assert cleaner().clean(text) == ""


def test_values_keep_their_number() -> None:
    assert cleaner().clean("CHEST\\Kilmister\\LUNG") == "CHEST\\\\LUNG"


def test_what_is_side_by_side_afterwards_spells_nothing() -> None:
    """An age, with something between that goes."""
    assert cleaner().clean("effusion, 94 Xylph years old") == "effusion"


def test_a_text_of_any_length_has_a_bound() -> None:
    assert cleaner().clean("chest " * LONGEST) == ""
    clean = cleaner()
    with pytest.raises(TooMuch):
        for number in range(MOST // 60000 + 1):
            clean.clean(f"{number} " + "x" * 60000)
    again = cleaner()
    with pytest.raises(TooMuch):  # the same whether an answer is remembered or not
        for _ in range(MOST // 100 + 1):
            again.clean("x" * 100)


@pytest.mark.parametrize("piece", ["1 ", "Dr ", "A.", "12 jan ", "5 rue a a ", "a@", "(123) ", "l i k i m "])
def test_hostile_texts_are_cleaned_as_others_are(piece: str) -> None:
    """No pattern goes back over what it has seen: these end, and within the limit of every test."""
    assert len(cleaner().clean((piece * LONGEST)[:LONGEST])) <= LONGEST


class Finder:
    """A plug-in that takes a word for a name."""

    def __init__(self, word: str, shift: int = 0) -> None:
        self.word, self.shift = word, shift

    def spans(self, text: str) -> Iterable[tuple[int, int, str]]:
        if self.word in text:
            start = text.index(self.word) + self.shift
            yield start, start + len(self.word), "PERSON"


class Example(Finder):
    """One that can be made without arguments."""

    def __init__(self) -> None:
        super().__init__("Long")


def with_plug_in(plug_in: Recognizer) -> FreeText:
    """A cleaner that has the plug-in."""
    return FreeText(Identifiers(standard_rules(), plug_in))


def test_a_plug_in_finds_what_is_a_word_and_a_name() -> None:
    assert with_plug_in(Finder("Long")).clean("Long bone of the arm") == "bone of the arm"
    assert FreeText(Identifiers(standard_rules())).clean("Long bone") == "Long bone"


def test_a_plug_in_that_is_wrong_lets_nothing_out() -> None:
    """Its error withholds the instance (part10.clean_file)."""
    with pytest.raises(ValueError, match="outside"):
        with_plug_in(Finder("arm", shift=5)).clean("Long arm")
    with pytest.raises(TypeError):
        with_plug_in(Finder(None)).clean("Long arm")  # type: ignore[arg-type] # what a plug-in may do


def test_a_plug_in_is_loaded_by_its_name() -> None:
    assert load_recognizer(None) is None
    assert isinstance(load_recognizer("tests.unit.deid.test_free_text:Example"), Example)
    with pytest.raises(TypeError):
        load_recognizer("tests.unit.deid.test_free_text:cleaner")
    with pytest.raises(ImportError):
        load_recognizer("no.such.module:object")


HARMLESS = st.sampled_from(["CT chest", "no effusion", "T12 3 mm", "w/o contrast", "Schädel in 2 Ebenen", "", "(lung)"])
LATIN = st.characters(min_codepoint=0x41, max_codepoint=0x17F, categories=["Lu", "Ll"])
#: No word that stays in any text, such as DERIVED, which Hypothesis takes from our own sources.
NAME = st.text(LATIN, min_size=5, max_size=12).filter(
    lambda name: len(set(name.lower())) > 2 and name.lower() not in allowed_words().content
)
NUMBER = st.from_regex(r"[A-Z]{0,2}[1-9][0-9]{4,9}", fullmatch=True).filter(lambda number: len(set(number)) > 2)


@given(NAME, NAME, NUMBER, HARMLESS, HARMLESS, st.sampled_from(["{f}", "{g} {f}", "{f}, {g}", "{f}{g}", "{f}_{g}_{n}",
       "{n}", "id {n}", "{g}.{f}", "{F}", "{g[0]}. {f}", "*{F}{G}*", "{f}^{g}", "{f}\r\n{n}"]))  # fmt: skip
def test_nothing_of_the_identifiers_stays(
    family: str, given_name: str, number: str, before: str, after: str, form: str
) -> None:
    """Whatever they are, however they are written and whatever stands around them."""
    clean = cleaner(
        Element(0x00080005, "CS", b"ISO_IR 192"),
        Element(0x00100010, "PN", f"{family}^{given_name}".encode()),
        Element(0x00100020, "LO", number.encode()),
    )
    written = form.format(f=family, g=given_name, n=number, F=family.upper(), G=given_name.upper())
    cleaned = clean.clean(f"{before} {written} {after}").lower()
    assert family.lower() not in cleaned
    assert given_name.lower() not in cleaned
    assert number.lower() not in cleaned


@given(st.text(max_size=200))
def test_any_text_is_cleaned_to_what_stays_clean(text: str) -> None:
    """And no text is longer afterwards: it fits where it stood."""
    cleaned = cleaner().clean(text)
    assert cleaner().clean(cleaned) == cleaned
    assert len(cleaned) <= len(text)


def described(text: str) -> bytes:
    """A CT object with this Series Description."""
    syntax, sop_class = "1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.2"
    elements = [
        Element(0x00080016, "UI", sop_class.encode()),
        Element(0x00080018, "UI", b"1.2.3.4"),
        Element(0x0008103E, "LO", text.encode()),
        Element(0x00100010, "PN", b"Kilmister^Ian"),
        Element(0x0020000D, "UI", b"1.2.3.5"),
    ]
    return file_meta(sop_class, "1.2.3.4", syntax) + encode(elements, EXPLICIT_LITTLE)


def test_a_project_s_plug_in_is_asked_about_descriptions_alone() -> None:
    """And its error withholds the instance."""
    profile = Profile("descriptors", options=frozenset({Option.CLEAN_DESCRIPTORS}))
    using = replace(trusting(), profile=profile, recognizer=Finder("Long"))
    assert b"Long" not in clean(described("Long bone"), using)[1]
    assert b"bone" in clean(described("Long bone"), using)[1]
    assert b"Long bone" in clean(described("Long bone"), replace(using, recognizer=None))[1]
    with pytest.raises(Withheld) as refused:
        clean(described("Long arm"), replace(using, recognizer=Finder("arm", shift=5)))
    assert refused.value.code == Reason.FAILED
