"""The second look: other code than the cleaner's reads what is about to go out, and finds what is left in it."""

from collections.abc import Iterable
from dataclasses import replace
from io import BytesIO
from typing import BinaryIO

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import PrivateBlock
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from services.deid.domain.looking.reader import Broken, read_head
from services.deid.domain.looking.scanner import Finding, Look
from services.deid.domain.options import Option
from services.deid.domain.profile import Profile
from tests.support.instances import as_file
from tests.unit.deid.looked_at import changed, kinds, look, original
from tests.unit.deid.originals import clean, project, trusting


def test_what_was_cleaned_shows_nothing_and_an_original_shows_itself() -> None:
    before = as_file(original())
    cleaned, after = clean(before)
    told = (("headers", cleaned.line), ("manifest", cleaned.instance.model_dump_json().encode()))
    assert look(before, after, told) == ()
    assert kinds(look(before, before)) == {
        "name", "identifier", "value", "uid", "date", "phone", "mail", "digits"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("attribute", "value", "kind"),
    [
        ("SeriesDescription", "seen by LINDQVIST", "name"),
        ("ImageComments", "no QX-48/1516", "identifier"),
        ("ImageComments", "no QX481516.", "identifier"),
        ("SoftwareVersions", "acc778899", "identifier"),
        ("ProtocolName", "of 2021-04-03", "date"),
        ("StudyDate", "20210403", "date"),
        ("ReviewDate", "20210403", "date"),
        ("ManufacturerModelName", "at Kaunisniemi Hospital 7", "identifier"),
        ("StationName", "+358 40 1234567", "phone"),
        ("StationName", "40 1234567", "digits"),
        ("StationName", "880117", "digits"),
        ("SoftwareVersions", "room Kurki 12", "value"),
        ("RequestedProcedureDescription", "astrid@example.org", "mail"),
    ],
)
def test_whatever_is_left_is_found_in_its_place(attribute: str, value: str, kind: str) -> None:
    before = as_file(original())
    after = changed(clean(before)[1], **{attribute: value})
    found = look(before, after)
    tag = dcmread(BytesIO(after))[attribute].tag
    assert Finding(f"({tag.group:04x},{tag.element:04x})", kind) in found
    assert not any(value.casefold() in f"{each.place} {each.kind}" for each in found)


def test_it_reads_every_depth_and_what_lies_in_private_elements() -> None:
    before = as_file(original())
    inside = dcmread(BytesIO(clean(before)[1]))
    item, deep = Dataset(), Dataset()
    deep.CodeMeaning = "Astrid Lindqvist"
    item.ConceptNameCodeSequence = Sequence([deep])
    inside.AcquisitionContextSequence = Sequence([Dataset(), item])
    block: PrivateBlock = inside.private_block(0x0029, "SOMEBODY", create=True)
    block.add_new(0x01, "OB", b"\0\1\2QX-48/1516\0\0")
    found = look(before, as_file(inside))
    assert Finding("(0040,0555)[1]/(0040,a043)[0]/(0008,0104)", "name") in found
    assert Finding("(0029,1001)", "identifier") in found


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_it_reads_other_transfer_syntaxes(syntax: str) -> None:
    before = original()
    before.file_meta = dcmread(BytesIO(as_file(before))).file_meta
    before.file_meta.TransferSyntaxUID = syntax
    file = as_file(before)
    assert look(file, clean(file)[1]) == ()
    assert "name" in kinds(look(file, changed(clean(file)[1], SeriesDescription="for lindqvist")))


def test_an_original_uid_counts_whole_and_not_as_part_of_another() -> None:
    before = original()
    file = as_file(before)
    after = clean(file)[1]
    assert kinds(look(file, changed(after, FrameOfReferenceUID=before.StudyInstanceUID))) == {"uid"}
    assert kinds(look(file, changed(after, ImageComments=f"of {before.StudyInstanceUID}"))) == {"uid"}
    assert look(file, changed(after, FrameOfReferenceUID=f"{before.StudyInstanceUID}.1"[:64])) == ()


def test_a_name_in_other_letters_is_found_as_it_reads() -> None:
    """In the character set of the original, in another one, and in JSON."""
    before = original(SpecificCharacterSet="ISO_IR 192")
    before.PatientName = "Ärligsson^Åke"
    file = as_file(before)
    cleaned, after = clean(file)
    assert look(file, after) == ()
    inside = dcmread(BytesIO(after))
    inside.SpecificCharacterSet = "ISO_IR 100"
    inside.SeriesDescription = "ÄRLIGSSON"
    assert kinds(look(file, as_file(inside))) == {"name"}
    line = cleaned.line.replace(b'"00080060"', b'"00081030":{"vr":"LO","Value":["\\u00e4rligsson"]},"00080060"')
    assert look(file, after, [("headers", line)]) == (Finding("headers", "name"),)


def test_bytes_of_pixels_and_behind_them_are_searched_as_they_lie() -> None:
    before = as_file(original(rows=64))
    after = clean(before)[1]
    (found,) = look(before, after[:-4000] + b"lindqvist" + after[-3991:])
    assert found == Finding(f"byte {len(after) - 4000}", "name")
    assert kinds(look(before, after + b"....ACC778899....")) == {"identifier"}


def test_numbers_that_only_look_alike_are_no_finding() -> None:
    """A short number within a longer one, a name within a word, a dummy, what the standard itself assigns."""
    before = original(ConvolutionKernel="STANDARD")
    before.PatientID, before.PatientName = "4711", "Stan^Anna"
    file = as_file(before)
    after = changed(clean(file)[1], SoftwareVersions="1.4711.2", InstanceNumber=4711, ProtocolName="STANDARD 147110")
    assert look(file, after) == ()


def test_what_the_profile_keeps_is_no_finding_in_its_place() -> None:
    before = as_file(original(DeviceSerialNumber="SN-5566778"))
    after = changed(clean(before)[1], StudyDate="20210403", DeviceSerialNumber="SN-5566778")
    assert kinds(look(before, after)) == {"date", "identifier"}
    options = frozenset((Option.FULL_DATES, Option.DEVICE_IDENTITY))
    assert look(before, after, options=options) == ()


def test_what_cannot_be_read_is_a_finding() -> None:
    """It fails closed."""
    before = as_file(original())
    assert look(before, b"no data set") == (Finding("file", "unreadable"),)
    with pytest.raises(Broken):
        read_head(BytesIO(bytes(128) + b"DICM" + b"\2\0\x10\0UI\xff\xff"))


class Lettering:
    """Finds text in the second frame of everything."""

    def text_boxes(self, file: BinaryIO) -> Iterable[tuple[int, tuple[int, int, int, int]]]:
        return [(1, (0, 0, 9, 9)), (1, (20, 0, 29, 9))]


def test_another_engine_reads_the_pixels_where_pixels_are_cleaned() -> None:
    before = as_file(original())
    after = clean(before)[1]
    rules = project().rules
    engine = Lettering()
    cleaning = Profile("pixels", options=frozenset((Option.CLEAN_PIXEL_DATA,)))
    assert Look(rules, Profile("basic"), engine).at(BytesIO(before), BytesIO(after)) == ()
    found = Look(rules, cleaning, engine).at(BytesIO(before), BytesIO(after))
    assert found == (Finding("(7fe0,0010) frame 2", "text-in-pixels"),)
    assert replace(trusting(), second_engine=engine).look.pixels is engine
