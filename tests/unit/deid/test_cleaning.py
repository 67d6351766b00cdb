"""What becomes of attributes."""

import struct
from io import BytesIO

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import Dataset as Item
from pydicom.uid import CTImageStorage, PositronEmissionTomographyImageStorage

from tests.support.instances import as_file, make_instances, uid
from tests.unit.deid.originals import clean, project


def cleaned(change: object = None, **attributes: object) -> Dataset:
    """A CT slice with ``attributes``, de-identified, as pydicom reads it."""
    (slice_,) = make_instances(1, **attributes)
    if callable(change):
        change(slice_)
    return dcmread(BytesIO(clean(as_file(slice_))[1]))


def test_the_obligatory_markers_are_set() -> None:
    """PS3.15 annex E.1.1."""
    out = cleaned()
    assert out.PatientIdentityRemoved == "YES"
    assert out.LongitudinalTemporalInformationModified == "REMOVED"
    (code,) = out.DeidentificationMethodCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("113100", "DCM")
    assert "2026d" in out.DeidentificationMethod[0]
    assert all(len(text) <= 64 for text in out.DeidentificationMethod)


def test_listed_values_go_and_what_must_be_present_stays() -> None:
    """X removes, Z empties; the patient gets a pseudonym."""
    out = cleaned(StationName="ROOM7", InstitutionName="St. Elsewhere", StudyID="4711")
    assert "StationName" not in out
    assert "InstitutionName" not in out
    assert out.StudyID == out.AccessionNumber == out.PatientBirthDate == out.StudyDate == out.PatientSex == ""
    assert out.PatientID == str(out.PatientName) != "T1"


def test_what_the_examination_was_stays() -> None:
    """Acquisition parameters are what the data are for."""
    source = make_instances(1, ConvolutionKernel="B70f", ScanOptions="HELIX")[0]
    out = dcmread(BytesIO(clean(as_file(source))[1]))
    for keyword in ("ConvolutionKernel", "ScanOptions", "KVP", "PixelSpacing", "Manufacturer", "Modality", "ImageType"):
        assert out[keyword].value == source[keyword].value
    assert out.ImageOrientationPatient == source.ImageOrientationPatient


def test_a_type_1_date_becomes_a_dummy_where_the_object_needs_it() -> None:
    """Series Date: Type 3 in CT, Type 1 in PET."""
    assert "SeriesDate" not in cleaned(SeriesDate="20200101")
    pet = cleaned(SeriesDate="20200101", SOPClassUID=PositronEmissionTomographyImageStorage)
    assert pet.SeriesDate == "19000101"


def test_private_attributes_go_at_every_depth() -> None:
    """With their creators, and sequences in them."""

    def plant(slice_: Dataset) -> None:
        item = Item()
        item.CodeValue = "T-1"
        item.add_new(0x00090010, "LO", "ACME")
        item.add_new(0x00091001, "LO", "Jane Doe")
        slice_.AnatomicRegionSequence = [item]
        slice_.add_new(0x00290010, "LO", "ACME")
        slice_.add_new(0x00291010, "OB", b"Jane Doe")

    out = cleaned(plant)
    assert [element.tag for element in out.iterall() if element.tag.is_private] == []


def test_uids_and_references_to_them_change_alike_at_every_depth() -> None:
    """And those that the standard assigns stay."""
    other = uid()

    def refer(slice_: Dataset) -> None:
        reference = Item()
        reference.ReferencedSOPClassUID = CTImageStorage
        reference.ReferencedSOPInstanceUID = other
        series = Item()
        series.SeriesInstanceUID = slice_.SeriesInstanceUID
        series.ReferencedInstanceSequence = [reference]
        slice_.ReferencedSeriesSequence = [series]

    out = cleaned(refer)
    key = project().key
    (series,) = out.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == out.SeriesInstanceUID
    assert series.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == key.uid(other)
    assert series.ReferencedInstanceSequence[0].ReferencedSOPClassUID == CTImageStorage
    assert out.SOPInstanceUID.startswith("2.25.")
    assert len(out.SOPInstanceUID) <= 64
    assert out.file_meta.MediaStorageSOPInstanceUID == out.SOPInstanceUID


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("WindowCenterWidthExplanation", "for Jane"),
        ("FrameOfInterestDescription", "lesion"),
        ("PatientBirthDateInAlternativeCalendar", "5744"),
        ("RetrieveURL", "http://pacs.example/1"),
    ],
)
def test_text_that_nobody_vouches_for_goes_although_the_table_does_not_list_it(keyword: str, value: str) -> None:
    """The table is a list of what must go; it does not say that the rest is safe."""
    assert keyword not in cleaned(**{keyword: value})


@pytest.mark.parametrize(
    "value", ["fl3d_KILMISTER", "seq T1234567", "fl3d 2020-01-02", "555 123 4567", "a@b", "Müller"]
)
def test_a_technical_text_goes_when_it_holds_something_of_the_patient_or_looks_like_it(value: str) -> None:
    """Operators type names into sequence and kernel names."""
    person = {"PatientID": "T1234567", "PatientName": "Kilmister^Ian"}
    assert "SequenceName" not in cleaned(SequenceName=value, SpecificCharacterSet="ISO_IR 192", **person)


@pytest.mark.parametrize("keyword", ["SoftwareVersions", "ConvolutionKernel", "Manufacturer", "ImageType"])
def test_an_original_uid_in_a_technical_text_takes_that_text_alone(keyword: str) -> None:
    """Whichever it is: of the object, the study or the frame of reference."""
    uids = {"StudyInstanceUID": "2.25.3478814390098835587841312029655666906"}
    uids["FrameOfReferenceUID"] = "1.2.840.113619.2.55.3.604688119.969"
    for original in uids.values():
        assert original not in str(cleaned(**uids, **{keyword: f"v_{original}_1"}))
    assert cleaned(SoftwareVersions="of 1.2.840.10008.5.1.4.1.1.2.1").SoftwareVersions


@pytest.mark.parametrize(
    ("keyword", "vr"), [("NonidentifyingPrivateElements", "US"), ("RedPaletteColorLookupTableData", "OW")]
)
def test_binary_values_that_spell_an_identifier_go(keyword: str, vr: str) -> None:
    """Nothing says that the bytes are numbers: with separators in it, it escapes the second look."""
    (source,) = make_instances(1, PatientID="MRN8472655")
    spelt = b"\0\1MRN 847-2655\2\3"
    source.add_new(keyword, vr, list(struct.unpack("<8H", spelt)) if vr == "US" else spelt)
    assert spelt in as_file(source)
    assert b"847-2655" not in clean(as_file(source))[1]


@pytest.mark.parametrize("name", ["Müllerin^Zoë", "Иванова^Анна", "山田^太郎"])
def test_a_name_in_other_letters_than_ascii_in_a_table_takes_the_table_alone(name: str) -> None:
    """The rest of the object goes out."""
    (source,) = make_instances(1, SpecificCharacterSet="ISO_IR 192", PatientName=name)
    spelt = b"\1\2" + name.split("^")[0].encode() + b"\3\4"
    source.add_new("TrianglePointIndexList", "OW", spelt + bytes(len(spelt) % 2))
    assert "TrianglePointIndexList" not in dcmread(BytesIO(clean(as_file(source))[1]))


def test_a_code_meaning_of_a_private_scheme_is_replaced() -> None:
    """Type 1 below a sequence: removed would break the object."""

    def plant(slice_: Dataset) -> None:
        codes = [Item(), Item()]
        for code, scheme in zip(codes, ("99LOCAL", "SCT"), strict=True):
            code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", scheme, "Thorax"
        slice_.AnatomicRegionSequence = codes

    local, public = cleaned(plant).AnatomicRegionSequence
    assert (local.CodeMeaning, public.CodeMeaning) == ("REMOVED", "Thorax")


def test_a_listed_sequence_with_a_dummy_keeps_its_shape_and_nothing_else() -> None:
    """Code D on a sequence: one item, conformant, without content."""

    def plant(slice_: Dataset) -> None:
        person = Item()
        person.CodeValue, person.CodingSchemeDesignator, person.CodeMeaning = "D42", "99HR", "Dr. Kilmister"
        holder = Item()
        holder.PersonIdentificationCodeSequence = [person, person]
        slice_.RadiopharmaceuticalInformationSequence = [holder]

    (holder,) = cleaned(plant).RadiopharmaceuticalInformationSequence
    (person,) = holder.PersonIdentificationCodeSequence
    assert (person.CodeValue, person.CodeMeaning) == ("REMOVED", "REMOVED")


def test_one_patient_has_one_pseudonym_and_no_id_matches_nobody() -> None:
    """(issuer, id) decides; placeholders are told apart by their study."""
    key = project().key
    assert key.patient("A", "1", "s1") == key.patient("A", " 1 ", "s2") != key.patient("B", "1", "s1")
    assert key.patient("", "UNKNOWN", "s1") != key.patient("", "UNKNOWN", "s2")


def test_a_patient_whose_name_is_the_number_is_cleaned_like_any_other() -> None:
    """The same letters are both then, and are searched as both."""
    assert "SequenceName" not in cleaned(PatientName="MRN8472655", PatientID="MRN8472655", SequenceName="MRN8472655")


def test_another_project_gives_nothing_that_can_be_joined() -> None:
    """No UID, no pseudonym in common."""
    (slice_,) = make_instances(1)
    one, other = (dcmread(BytesIO(clean(as_file(slice_), project(secret * 32))[1])) for secret in (b"a", b"b"))
    for keyword in ("PatientID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        assert one[keyword].value != other[keyword].value
