"""What is kept in mind of earlier headers makes no difference but to the time that a header takes."""

import struct
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.deid.domain import cutting, free_text, part10
from services.deid.domain.dataset import EXPLICIT_LITTLE, Element, encode
from services.deid.domain.file_meta import file_meta
from services.deid.domain.free_text import MOST
from services.deid.domain.memo import LIMIT, Memo
from services.deid.domain.options import Option
from services.deid.domain.part10 import REMEMBERED, Project, clean_file
from services.deid.domain.profile import Profile
from services.deid.domain.pseudonyms import ProjectKey
from services.deid.domain.reading import Reader
from services.deid.domain.rules import standard_rules
from services.deid.domain.withholding import Reason, Withheld
from tests.unit.deid.originals import choosing, describe, trusting
from tests.unit.deid.test_any_data_set import ELEMENTS, ENCODINGS, OPTIONS

CLASSES = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4")
PEOPLE = ((b"Kilmister^Ian", b"MRN8472655"), (b"Clarke^Edward", b"CHEST-4711"))
EXPLICIT = "1.2.840.10008.1.2.1"
#: Texts that stay unless they name the patient: Manufacturer's Model Name, Convolution Kernel.
MODEL, KERNEL = 0x00081090, 0x00181210
#: Texts that are cleaned as descriptions.
DESCRIPTIONS = [
    tag
    for tag, row in sorted(standard_rules().rows.items())
    if row.options.get(Option.CLEAN_DESCRIPTORS) == "C" and row.vr in ("LO", "LT", "ST", "UT")
][:24]
CHARACTER_SET, SEQUENCE, CREATOR, PRIVATE = 0x00080005, 0x00081140, 0x20010010, 0x20011004


def file_of(
    elements: list[Element], person: int = 0, sop_class: str = CLASSES[0], syntax: str = EXPLICIT, number: int = 1
) -> bytes:
    """An object of one of the people, with these attributes."""
    name, patient_id = PEOPLE[person]
    own = (
        Element(0x00080016, "UI", sop_class.encode()),
        Element(0x00080018, "UI", f"1.2.3.{number}".encode()),
        Element(0x0020000D, "UI", b"1.2.3.5"),
        Element(0x00100010, "PN", name),
        Element(0x00100020, "LO", patient_id),
    )
    found = {each.tag: each for each in (*elements, *own)}
    return file_meta(sop_class, f"1.2.3.{number}", syntax) + encode(found.values(), ENCODINGS[syntax])


def outcome(project: Project, file: bytes) -> tuple[Any, ...]:
    """All that comes of a file: its bytes, what is told of it and what was done, or why it is withheld."""
    sink = BytesIO()
    try:
        cleaned = clean_file(BytesIO(file), describe(file), project, sink)
    except Withheld as refused:
        return (refused.code,)
    return sink.getvalue(), cleaned.instance, cleaned.line, cleaned.person, dict(cleaned.steps)


def with_memo(project: Project, memo: Memo) -> Project:
    """The same project with a memo of another size."""
    vars(project)["memo"] = memo
    return project


def described(file: bytes) -> bool:
    """Whether pydicom, which describes it in ingest's place, takes it for what it is."""
    try:
        describe(file)
    except Exception:
        return False
    return True


@st.composite
def series(draw: st.DrawFn) -> list[bytes]:
    """Files that have much in common: of two people, of two classes, in any encoding, some of them twice."""
    pool = draw(st.lists(ELEMENTS, min_size=1, max_size=10))
    slices = st.builds(
        file_of,
        st.lists(st.sampled_from(pool), max_size=8),
        st.sampled_from([0, 0, 0, 1]),
        st.sampled_from([CLASSES[0], *CLASSES]),
        st.sampled_from([EXPLICIT, *ENCODINGS]),
        st.integers(1, 3),
    )
    files = draw(st.lists(slices, min_size=2, max_size=6))
    return [file for file in files * 2 if described(file)]


@given(series(), OPTIONS, st.sampled_from([LIMIT, 20_000, 2_000]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_came_before_makes_no_difference(files: list[bytes], options: frozenset[Option], limit: int) -> None:
    """Each file comes out as if it were the first, whatever is remembered, and forgotten in between."""
    profile = Profile("any", options=options)
    used = with_memo(trusting(profile=profile), Memo(limit))
    for file in files:
        assert outcome(used, file) == outcome(trusting(profile=profile), file)


TEXTS = [Element(MODEL, "LO", b"Clarke 4711"), Element(KERNEL, "SH", b"CHEST-4711")]


@pytest.mark.parametrize("options", [(), (Option.DEVICE_IDENTITY,), (Option.CLEAN_DESCRIPTORS,)])
@pytest.mark.parametrize("naming", [[], [Element(0x00080090, "PN", b"Clarke^Edward")]])
def test_what_names_nobody_in_one_object_may_name_somebody_in_another(
    options: tuple[Option, ...], naming: list[Element]
) -> None:
    """It is the other patient, or the physician of the same."""
    project = choosing(*options)
    for is_named in (False, False, False, True, False, True):
        file = file_of([*TEXTS, *naming] if is_named else TEXTS, 1 if is_named and not naming else 0)
        results = outcome(project, file), outcome(choosing(*options), file)
        assert results[0] == results[1]
        assert (b"Clarke" in results[0][0]) != is_named


def test_dates_move_with_the_patient_whose_number_another_has_elsewhere() -> None:
    """Who it is depends on the issuer of the number, too; the date's bytes are the same."""
    date = Element(0x00080020, "DA", b"20200102")
    project = choosing(Option.MODIFIED_DATES)
    for issuer in (b"HERE", b"HERE", b"THERE", b"HERE"):
        file = file_of([date, Element(0x00100021, "LO", issuer)])
        assert outcome(project, file) == outcome(choosing(Option.MODIFIED_DATES), file)


def test_nothing_is_remembered_for_another_key_or_profile() -> None:
    """Each project has its own memory, also when it was made from another."""
    first, file = trusting(), file_of([Element(0x00200052, "UI", b"1.2.3.9"), *TEXTS])
    outcome(first, file)
    for other in (replace(first, key=ProjectKey(b"q" * 32)), replace(first, profile=Profile("p", version="2"))):
        assert other.memo is not first.memo
        assert outcome(other, file) == outcome(replace(other), file) != outcome(first, file)


@pytest.mark.parametrize(
    ("element", "another"),
    [
        (Element(CHARACTER_SET, "CS", b"ISO_IR 100"), Element(CHARACTER_SET, "CS", b"ISO_IR 192")),
        (Element(0x00080300, "SQ", items=()), Element(0x00080300, "SQ", items=((Element(0x00080301, "US", b"\1\x20"),
            Element(0x00080302, "LO", b"OURS"), Element(0x00080303, "CS", b"SAFE")),))),
        (Element(CREATOR, "LO", b"OURS"), Element(CREATOR, "LO", b"Philips Imaging DD 001")),
    ],
)  # fmt: skip
def test_what_others_depend_on_is_heeded(element: Element, another: Element) -> None:
    """Another character set, other private blocks: the same bytes mean something else."""
    rest = [Element(PRIVATE, "CS", b"7 "), Element(0x00204000, "LT", b"M\xc3\xbcller spine")]
    if element.tag != CREATOR:
        rest.append(Element(CREATOR, "LO", b"OURS"))
    options = Option.SAFE_PRIVATE, Option.CLEAN_DESCRIPTORS
    project = choosing(*options)
    for each in (element, element, another, another, element):
        file = file_of([each, *rest])
        assert outcome(project, file) == outcome(choosing(*options), file)


def _open_ended(*items: bytes) -> bytes:
    """A sequence of unknown length with items of known length (PS3.5 section 7.5)."""
    head = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    delimited = (struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items)
    return head + b"".join(delimited) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def _with_raw(raw: bytes) -> bytes:
    """An object that has ``raw`` in the place of an empty sequence."""
    empty = encode([Element(SEQUENCE, "SQ", items=())], EXPLICIT_LITTLE)
    return file_of([Element(SEQUENCE, "SQ", items=())]).replace(empty, raw)


def test_sequences_of_unknown_length_are_known_again_by_their_bytes() -> None:
    item = encode([Element(0x00081150, "UI", CLASSES[0].encode())], EXPLICIT_LITTLE)
    other = encode([Element(0x00081155, "UI", b"1.2.3.77")], EXPLICIT_LITTLE)
    project = trusting()
    for items in ((item,), (item,), (item,), (item, other), (), (item, item), (item,)):
        file = _with_raw(_open_ended(*items))
        assert outcome(project, file) == outcome(trusting(), file)
        assert len(outcome(project, file)) > 1


def test_an_attribute_that_comes_twice_is_found_however_often_it_was_read() -> None:
    twice = encode([Element(MODEL, "LO", b"Model")], EXPLICIT_LITTLE)
    project, good = trusting(), file_of([Element(MODEL, "LO", b"Model"), Element(KERNEL, "SH", b"SOFT")])
    for _ in range(4):
        assert outcome(project, good) == outcome(trusting(), good)
    bad = good.replace(twice, twice * 2)
    assert outcome(project, bad) == outcome(trusting(), bad) == (Reason.UNREADABLE_HEADER,)


def test_what_is_known_again_counts_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    file = file_of([Element(SEQUENCE, "SQ", items=((Element(KERNEL, "SH", b"SOFT"),),) * 10)])
    project = trusting()
    for _ in range(3):
        assert len(outcome(project, file)) > 1
    monkeypatch.setattr(cutting, "ELEMENT_LIMIT", 20)
    assert outcome(project, file) == (Reason.TOO_LARGE,)


def test_of_a_series_only_what_changes_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tags: list[int] = []
    element = Reader.element

    def reading(self: Reader, tag: int, *told: Any) -> tuple[Element, int]:
        tags.append(tag)
        return element(self, tag, *told)

    monkeypatch.setattr(Reader, "element", reading)
    project = trusting()
    reference = Element(SEQUENCE, "SQ", items=((Element(0x00081150, "UI", CLASSES[0].encode()),),))
    for number in range(1, 6):
        tags.clear()
        own = Element(0x00200013, "IS", str(number).encode()), Element(0x00091010, "DS", str(number).encode())
        outcome(project, file_of([*TEXTS, reference, *own], number=number))
    assert sorted(tags) == [0x00080018, 0x00200013]


def test_how_much_text_is_cleaned_of_an_object_depends_on_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came before counts as much as what is new."""
    monkeypatch.setattr(free_text, "MOST", MOST // 16)
    monkeypatch.setattr(part10, "REMEMBERED", REMEMBERED // 16)
    shared = [Element(tag, "UT", b"spine axial " * 80) for tag in DESCRIPTIONS]
    comments = tuple((Element(0x00204000, "LT", b"knee axial " * 370),) for _ in range(12))
    project, more = choosing(Option.CLEAN_DESCRIPTORS), file_of([*shared, Element(0x00082218, "SQ", items=comments)])
    for _ in range(2):
        assert len(outcome(project, file_of(shared))) > 1
    assert outcome(project, more) == outcome(choosing(Option.CLEAN_DESCRIPTORS), more) == (Reason.TOO_LARGE,)
