"""A look that remembers where it found nothing says of every file what a look says that remembers nothing."""

import json
import struct
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from services.deid.domain.dataset import EXPLICIT_LITTLE, LONG, SHORT, Element, encode
from services.deid.domain.looking.precedents import Precedents, Told, Under
from services.deid.domain.looking.reader import read_head
from services.deid.domain.looking.scanner import Look
from services.deid.domain.options import Option
from services.deid.domain.part10 import file_meta
from services.deid.domain.profile import Profile
from tests.support.instances import as_file, make_instances
from tests.unit.deid.looked_at import planted
from tests.unit.deid.originals import clean, project, trusting
from tests.unit.deid.test_any_data_set import CT, ENCODINGS, NAME, NUMBER


class Counting(Precedents):
    """Counts how often nothing had to be looked at anew."""

    cleared = 0

    def clear(self, original: BinaryIO, cleaned: BinaryIO, told: Told, under: Under) -> bool:
        known = super().clear(original, cleaned, told, under)
        self.cleared += known
        return known


Slice = tuple[bytes, bytes, Told]

#: What may stand in a file that goes out, and what gives somebody away.
HARMLESS = [b"CHEST", b"7", b"", b"2.25.1234567890123456789", b"1.5\\-2.25\\3", b"\x1b$B7;\x1b(B", b"\xe4\xff\0\1"]
TELLING = [
    NAME, NAME.upper() + b"'S", NUMBER, b"MRN 847-2655", b"8472655", b"1.2.3.4", b"1.2.3.4.5", b"20200102",
    b"2020-01-02", NAME.decode().encode("utf_16_le"), struct.pack("<I", 8472655), struct.pack("<d", 20200102.0),
    b"KiLmIsTeR\0\0\0", b"1.2.\x1b$)C3.4", b"mister", b"Kil", b"84726", b"55", b"20200109", b"19000101",
]  # fmt: skip
TAGS = st.sampled_from(
    [
        0x00080020, 0x00080021, 0x00080050, 0x00080080, 0x00080090, 0x00081030, 0x0008103E, 0x00081155, 0x00100030,
        0x00120063, 0x00181000, 0x00181020, 0x00189073, 0x0020000E, 0x00200013, 0x00200032, 0x00204000, 0x00280303,
        0x00281201, 0x00291001, 0x00291002, 0x00400275, 0x00080005, 0x00020016,
    ]
)  # fmt: skip
VRS = st.sampled_from(sorted((LONG | SHORT) - {"SQ"}))


def elements(values: list[bytes]) -> st.SearchStrategy[Element]:
    """Elements with one of these values, some of them in sequences."""
    scalars = st.builds(lambda tag, vr, value: Element(tag, vr, value), TAGS, VRS, st.sampled_from(values))
    items = st.lists(st.lists(scalars, max_size=2).map(tuple), max_size=2).map(tuple)
    return scalars | st.builds(lambda tag, items: Element(tag, "SQ", items=items), TAGS, items)


def document(texts: tuple[str, ...], number: object, form: int) -> bytes:
    """What may be told of a file: JSON, written in two ways, what is cut off, and what is none."""
    if form == 3:
        return texts[0].encode()
    line = {
        "00080060": {"vr": "CS", "Value": [texts[0]]},
        "00120063": {"vr": "LO", "Value": [texts[1], "a},b"[form:]]},
        texts[2]: {"length": number, "Value": [number, None]},
    }
    return json.dumps(line, ensure_ascii=bool(form)).encode()[: -1 if form == 2 else None]


PIXELS = [b"", bytes(64), bytes(64), b"\0\1" * 9 + b"kilmister.", b"\1" * 33 + b"xMRN8472655"]
SAID = ["CHEST", "2.25.9", "f" * 64, '},"', "a},b", '"', "\\", "\t", "}", "", "00081030", "00080080", "x},y", "é"]
NUMBERS = [7, -1.5, None, True, 1e30]


def documents(*telling: str, numbers: tuple[float, ...] = ()) -> st.SearchStrategy[bytes]:
    """Documents that say this, too."""
    strings = st.sampled_from([*SAID, *telling])
    return st.builds(
        document, st.tuples(strings, strings, strings), st.sampled_from([*NUMBERS, *numbers]), st.integers(0, 3)
    )


def file_of(own: dict[int, Element], changes: list[Element], syntax: str, uid: str, pixels: bytes) -> bytes:
    """A CT object with these attributes and those that differ in this slice."""
    found = {**own, **{each.tag: each for each in changes}}
    encoding = ENCODINGS[syntax]
    data = encode([found[tag] for tag in sorted(found) if tag >> 16 != 2], encoding)
    begin = Element(0x7FE00010, "OW", b"")
    meta = file_meta(CT.decode().strip("\0"), uid, syntax)
    more = [each for tag, each in sorted(found.items()) if tag >> 16 == 2 and each.items is None]
    meta += encode(more, EXPLICIT_LITTLE)
    return meta + data + (encode([begin._replace(value=pixels)], encoding) if pixels else b"")


PATIENT = {
    each.tag: each
    for each in (
        Element(0x00080016, "UI", CT),
        Element(0x00080018, "UI", b"1.2.3.4"),
        Element(0x00080020, "DA", b"20200102"),
        Element(0x00100010, "PN", NAME + b"^Ian"),
        Element(0x00100020, "LO", NUMBER),
    )
}
OUT = {0x00080016: PATIENT[0x00080016], 0x00080018: Element(0x00080018, "UI", b"2.25.77")}


@st.composite
def series(draw: st.DrawFn) -> list[Slice]:
    """Files that have much in common, and what is told of them."""
    syntax = draw(st.sampled_from(sorted(ENCODINGS)))
    before = PATIENT | {each.tag: each for each in draw(st.lists(elements(HARMLESS + TELLING), max_size=4))}
    after = OUT | {each.tag: each for each in draw(st.lists(elements(HARMLESS), max_size=6))}
    told = draw(documents())
    found: list[Slice] = []
    for _ in range(draw(st.integers(3, 6))):
        changes = draw(st.lists(elements(HARMLESS + TELLING), max_size=2)) if draw(st.booleans()) else []
        differing = draw(st.lists(elements(HARMLESS), max_size=2))
        if draw(st.integers(0, 3)) == 0:
            differing += draw(st.lists(elements(TELLING), max_size=1))
        if draw(st.booleans()):
            told = draw(documents())
        if draw(st.integers(0, 5)) == 0:
            told = draw(documents("kilmister", "MRN-8472655", "1.2.3.4", numbers=(8472655, 20200102.0)))
        pixels = draw(
            st.sampled_from([b"", bytes(64), bytes(64), b"\0\1" * 9 + b"kilmister.", b"\1" * 33 + b"xMRN8472655"])
        )
        found.append((
            file_of(before, changes, syntax, "1.2.3.4", bytes(8)),
            file_of(after, differing, syntax, "2.25.77", pixels),
            (("manifest", told), ("name", draw(st.sampled_from([b"packs/7f", b"packs/8", b"kilmister"])))),
        ))  # fmt: skip
    return found


OPTIONS = st.frozensets(st.sampled_from(sorted(set(Option) - {Option.CLEAN_PIXEL_DATA})), max_size=4).filter(
    lambda options: not options >= {Option.FULL_DATES, Option.MODIFIED_DATES}
)


@given(series(), OPTIONS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_what_is_remembered_changes_nothing_that_is_said(slices: list[Slice], options: frozenset[Option]) -> None:
    """Of any data sets, in any transfer syntax, under any options."""
    profile = Profile("any", options=options)
    rules = project().rules.under(profile)
    remembering = Look(rules, profile, precedents=Counting())
    said = [Look(rules, profile).at(BytesIO(before), BytesIO(after), told) for before, after, told in slices]
    assert [remembering.at(BytesIO(before), BytesIO(after), told) for before, after, told in slices * 2] == said * 2
    event(f"cleared {min(remembering.precedents.cleared, 5)}")  # type: ignore[attr-defined]


def slices_of(count: int) -> list[Slice]:
    """Slices of one series as they come from the cleaner, others in UID, position and number."""
    made = make_instances(
        count, PatientName="Lindqvist^Astrid", PatientID="QX-48/1516", ReferringPhysicianName="Kurk^A"
    )
    found: list[Slice] = []
    for number, one in enumerate(made):
        one.InstanceNumber, one.ImagePositionPatient = number + 1, [-100.5, -100.5, 2.5 * number]
        before = as_file(one)
        cleaned, after = clean(before, trusting())
        after = planted(after, 0x00080032, "TM", b"10111%d" % number)
        told = (("manifest", cleaned.instance.model_dump_json().encode()), ("headers", cleaned.line))
        found.append((before, after, told))
    return found


def remembering() -> Look:
    """A look that counts."""
    return Look(project().rules, Profile("test"), precedents=Counting())


def test_all_slices_but_the_first_ones_are_cleared_by_those_before() -> None:
    look = remembering()
    assert [look.at(BytesIO(before), BytesIO(after), told) for before, after, told in slices_of(12)] == [()] * 12
    assert look.precedents.cleared >= 9  # type: ignore[attr-defined]
    assert len(look.precedents.last) <= 2


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x00181030, "LO", b"ASTRID"),  # what was not there before
        (0x00080060, "CS", b"ASTRID"),  # what was the same before
        (0x00200013, "IS", b"481516"),  # what differs from slice to slice
        (0x00200032, "DS", b"0\\1\\481516"),
        (0x00080032, "TM", b"ASTRID"),
        (0x00291001, "OB", b"\0QX481516\0\0"),
        (0x00080018, "UI", b"original"),
        (0x00020003, "UI", b"original"),
        (0x7FD10010, "LO", b"Kurk"),  # behind all that was there before
    ],
)
def test_what_is_in_one_slice_of_many_is_found(tag: int, vr: str, value: bytes) -> None:
    look, slices = remembering(), slices_of(6)
    for before, after, told in slices[:5]:
        assert look.at(BytesIO(before), BytesIO(after), told) == ()
    before, after, told = slices[5]
    uid = original_uid(before)
    after = planted(after, tag, vr, uid if value == b"original" else value)
    (found,) = {each.place for each in look.at(BytesIO(before), BytesIO(after), told)}
    assert found == f"({tag >> 16:04x},{tag & 0xFFFF:04x})"


@pytest.mark.parametrize("name", ["manifest", "headers"])
@pytest.mark.parametrize("what", ['"ASTRID"', '"\\u0041strid"', "481516", '"QX.481516"', '"QX-48""1516"', '"original"'])
def test_what_is_told_of_one_slice_of_many_is_found(name: str, what: str) -> None:
    look, slices = remembering(), slices_of(6)
    for before, after, told in slices[:5]:
        assert look.at(BytesIO(before), BytesIO(after), told) == ()
    before, after, told = slices[5]
    uid = original_uid(before).decode()
    lines = {each: text.replace(b'"CT"', what.replace("original", uid).encode(), 1) for each, text in told}
    changed = tuple((each, lines[each] if each == name else text) for each, text in told)
    assert changed != told
    assert {each.place for each in look.at(BytesIO(before), BytesIO(after), changed)} == {name}


def original_uid(before: bytes) -> bytes:
    """SOP Instance UID of a file."""
    return before[before.index(b"\x08\0\x18\0UI") :][8:72].split(b"\x08\0")[0].strip(b"\0")


def test_what_was_nobodys_before_is_found_where_nothing_changed() -> None:
    """A UID that stands in all files, and is that of the last original."""
    slices = slices_of(6)
    uid = original_uid(slices[5][0])
    line = json.dumps({"00081155": {"vr": "UI", "Value": [uid.decode()]}}).encode()
    for place in ("(0008,1155)", "headers"):
        look = remembering()
        for before, after, told in slices:
            inside = planted(after, 0x00081155, "UI", uid) if place != "headers" else after
            found = look.at(BytesIO(before), BytesIO(inside), (told[0], ("headers", line)) if inside is after else told)
            assert {each.place for each in found} == ({place} if before is slices[5][0] else set())
        assert look.precedents.cleared >= 3  # type: ignore[attr-defined]


def test_what_is_in_the_pixels_of_one_slice_of_many_is_found() -> None:
    look, slices = remembering(), slices_of(6)
    for before, after, told in slices[:5]:
        assert look.at(BytesIO(before), BytesIO(after), told) == ()
    before, after, told = slices[5]
    assert look.at(BytesIO(before), BytesIO(after[:-20] + b"lindqvist" + after[-11:]), told)


def test_what_stands_behind_all_that_was_there_before_is_found() -> None:
    """Of objects without pixels."""
    look, slices = remembering(), slices_of(6)
    bare = [(before, after[: read_head(BytesIO(after)).rest], told) for before, after, told in slices]
    for before, after, told in bare[:5]:
        assert look.at(BytesIO(before), BytesIO(after), told) == ()
    before, after, told = bare[5]
    found = look.at(BytesIO(before), BytesIO(after + b"\xd1\x7f\x10\0LO\4\0Kurk"), told)
    assert {each.place for each in found} == {"(7fd1,0010)"}


def test_a_moved_date_is_compared_with_the_one_in_its_place_each_time() -> None:
    """It may be no finding in one slice, and one in the next."""
    moved = Profile("test", options=frozenset((Option.MODIFIED_DATES,)))
    look, slices = Look(project().rules, moved), slices_of(6)
    for number, (before, after, told) in enumerate(slices):
        was = planted(before, 0x00400244, "DA", [b"20210101", b"20210102"][number % 2] if number < 5 else b"20200102")
        found = look.at(BytesIO(was), BytesIO(planted(after, 0x00400244, "DA", b"20200102")), told)
        assert [each.place for each in found] == ([] if number < 5 else ["(0040,0244)"])


def test_another_patient_is_searched_for_what_is_his_own() -> None:
    """Though all files look the same."""
    look = remembering()
    for before, after, told in slices_of(5):
        assert look.at(BytesIO(before), BytesIO(after), told) == ()
    (other,) = make_instances(1, PatientName="Brainerd^Axel", PatientID="7")
    before = as_file(other)
    cleaned, after = clean(before, trusting())
    told = (("manifest", cleaned.instance.model_dump_json().encode()), ("headers", cleaned.line))
    assert look.at(BytesIO(before), BytesIO(after), told) == ()
    after = planted(after, 0x00081090, "LO", b"AXEL 7")
    assert [each.place for each in look.at(BytesIO(before), BytesIO(after), told)] == ["(0008,1090)"]


def test_little_is_remembered() -> None:
    """Of many series the last ones."""
    look = remembering()
    for number in range(20):
        (one,) = make_instances(1, PatientID=f"AB-{number}-1516", ImageComments="x" * (number % 2))
        before = as_file(one)
        _, after = clean(before, trusting())
        assert look.at(BytesIO(before), BytesIO(after)) == ()
    assert 0 < len(look.precedents.last) <= 8


def test_real_series_are_cleared(corpus: Path) -> None:
    """CT and MR: few of the slices have to be looked at as a whole, and the result is the same."""
    for folder, few in [("dcm_qa_ct", 4), ("dcm_qa_nih/In/20180918Si", 30)]:
        look, count = remembering(), 0
        for path in sorted(each for each in (corpus / "dicom" / folder).rglob("*") if each.is_file())[:80]:
            before = path.read_bytes()
            cleaned, after = clean(before, trusting())
            told = (("manifest", cleaned.instance.model_dump_json().encode()), ("headers", cleaned.line))
            assert look.at(BytesIO(before), BytesIO(after), told) == ()
            count += 1
        assert look.precedents.cleared >= count - few  # type: ignore[attr-defined]
