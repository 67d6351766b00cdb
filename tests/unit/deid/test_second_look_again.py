"""A look that remembers where it found nothing says of every file what a look says that remembers nothing."""

import json
from io import BytesIO
from pathlib import Path

import pytest

from services.deid.domain.looking.reader import read_head
from services.deid.domain.looking.scanner import Look
from services.deid.domain.options import Option
from services.deid.domain.profile import Profile
from tests.support.instances import as_file, make_instances
from tests.unit.deid.looked_at import Counting, Slice, cleared, planted
from tests.unit.deid.originals import clean, project, trusting


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
    assert cleared(look) >= 6
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
    slices = slices_of(12)
    uid = original_uid(slices[-1][0])
    line = json.dumps({"00081155": {"vr": "UI", "Value": [uid.decode()]}}).encode()
    for place in ("(0008,1155)", "headers"):
        look = remembering()
        for before, after, told in slices:
            inside = planted(after, 0x00081155, "UI", uid) if place != "headers" else after
            found = look.at(BytesIO(before), BytesIO(inside), (told[0], ("headers", line)) if inside is after else told)
            assert {each.place for each in found} == ({place} if before is slices[-1][0] else set())
        assert cleared(look) >= 3


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
        assert cleared(look) >= count - few
