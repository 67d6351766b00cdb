"""Values that have the characters of an identifier and say something else: nothing is damaged or withheld for them."""

from io import BytesIO
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from services.deid.domain.coincidences import is_left
from services.deid.domain.dataset import EXPLICIT_LITTLE, Element
from services.deid.domain.identifiers import Identifiers
from services.deid.domain.looking.scanner import Look
from services.deid.domain.options import Option
from services.deid.domain.profile import Profile
from services.deid.domain.rules import standard_rules
from services.deid.domain.withholding import Reason, Withheld
from tests.support.instances import as_file, make_instances
from tests.unit.deid.originals import clean, project, trusting


def released(*options: Option, **attributes: Any) -> Dataset:
    """A slice with ``attributes`` as it goes out, when the second look finds nothing in it, nor in what is told."""
    (made,) = make_instances(1, **attributes)
    profile = Profile("chosen", options=frozenset(options))
    before = as_file(made)
    cleaned, after = clean(before, trusting(profile=profile))
    told = (("headers", cleaned.line), ("manifest", cleaned.instance.model_dump_json().encode()))
    assert Look(project().rules.under(profile), profile).at(BytesIO(before), BytesIO(after), told) == ()
    return dcmread(BytesIO(after))


def test_the_full_dates_of_a_newborn_stay() -> None:
    """The day of birth is that of the study, and of what the table does not list."""
    out = released(
        Option.FULL_DATES,
        PatientBirthDate="20260131",
        StudyDate="20260131",
        SeriesDate="20260131",
        AcquisitionDateTime="20260131120000",
        ContextGroupVersion="20260131",
        StudyID="20260131",
    )
    assert (out.StudyDate, out.SeriesDate, out.AcquisitionDateTime) == ("20260131", "20260131", "20260131120000")
    assert not out.PatientBirthDate


@pytest.mark.parametrize("options", [(), (Option.MODIFIED_DATES,), (Option.FULL_DATES,)])
def test_a_newborn_goes_out_whatever_becomes_of_dates(options: tuple[Option, ...]) -> None:
    assert released(*options, PatientBirthDate="20260131", StudyDate="20260131", SeriesDate="20260131").Rows == 16


@pytest.mark.parametrize(
    "mark",
    ["2026d", "113100", "113107", "CAUSEWAY", "Causeway", "Profile", "Table", "PS3.15", "chosen", "REMOVED", "YES",
     "MODIFIED", "UNMODIFIED", "CAUSEWAY_1", "DCM"],
)  # fmt: skip
@pytest.mark.parametrize("keyword", ["StudyID", "PatientID", "PatientName", "AccessionNumber"])
def test_our_own_marks_are_nobodys(mark: str, keyword: str) -> None:
    """We write them into every object."""
    out = released(Option.MODIFIED_DATES, **{keyword: mark})
    assert "2026d" in out.DeidentificationMethod[0]
    assert out.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    assert out.LongitudinalTemporalInformationModified == "MODIFIED"


@pytest.mark.parametrize("number", ["1024", "4096", "0512", "12345"])
def test_a_short_number_destroys_no_measure(number: str) -> None:
    """Window Center 1024 with Study ID 1024."""
    out = released(
        StudyID=number,
        AccessionNumber=number,
        WindowCenter=int(number),
        WindowWidth=f"{number}.5",
        DataCollectionDiameter=f"{number}.25",
        TableHeight=f"-{number}",
        Exposure=int(number),
        LargestImagePixelValue=int(number),
        ReconstructionDiameter=number,
    )
    assert (int(out.WindowCenter), float(out.WindowWidth)) == (int(number), float(f"{number}.5"))
    assert (out.DataCollectionDiameter, out.TableHeight) == (float(f"{number}.25"), -float(number))
    assert (int(out.Exposure), out.LargestImagePixelValue) == (int(number), int(number))


@pytest.mark.parametrize("value", ["20260131", "20260131.0", "31012026", "4711223", "04711223"])
def test_a_date_or_a_long_number_among_measures_goes(value: str) -> None:
    """Study Date is among what is searched for; a number of six digits and more is no coincidence."""
    for options in ((), (Option.MODIFIED_DATES,)):
        out = released(*options, PatientID="4711223", StudyDate="20260131", ReconstructionDiameter=value)
        assert "ReconstructionDiameter" not in out
    kept = released(Option.FULL_DATES, PatientID="4711999", StudyDate="20260131", ReconstructionDiameter="20260131")
    assert kept.ReconstructionDiameter == 20260131


@pytest.mark.parametrize(
    "text", ["20260131", "VB31JAN26", "V 31.01.2026", "2026-01-31 12:00", "B260131", "V 2026:01:31", "31/I/2026"]
)
@pytest.mark.parametrize("keyword", ["SeriesDate", "StudyDate", "ContentDate", "PatientBirthDate"])
def test_a_date_of_the_study_in_a_technical_text_goes(text: str, keyword: str) -> None:
    out = released(Option.MODIFIED_DATES, SoftwareVersions=text, **{keyword: "20260131"})
    assert "SoftwareVersions" not in out


@pytest.mark.parametrize("name", ["Chrome^Ian", "Static^Primary", "Axial^Original", "Monochrome2^Ian", "Row^Direct"])
def test_a_name_that_is_a_term_of_the_standard_destroys_no_coded_string(name: str) -> None:
    out = released(
        PatientName=name,
        PhotometricInterpretation="MONOCHROME2",
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL", "STATIC"],
        BodyPartExamined="CHEST",
        DetectorType="DIRECT",
    )
    assert out.PhotometricInterpretation == "MONOCHROME2"
    assert list(out.ImageType) == ["ORIGINAL", "PRIMARY", "AXIAL", "STATIC"]
    assert out.DetectorType == "DIRECT"


def test_a_name_in_a_coded_string_that_is_no_term_goes() -> None:
    out = released(PatientName="Chrome^Ian", ScanOptions="CHROME", PhotometricInterpretation="MONOCHROME2")
    assert "ScanOptions" not in out


@pytest.mark.parametrize("options", [(), (Option.RETAIN_UIDS,)])
def test_a_uid_of_a_class_holds_no_number_of_the_patient(options: tuple[Option, ...]) -> None:
    """Of what the table does not list, the UIDs of classes and mappings stay."""
    out = released(*options, PatientID="12345", MappingResourceUID="1.2.826.12345.7", ContextUID="1.2.826.7")
    assert out.MappingResourceUID.startswith("2.25.")
    assert out.ContextUID == "1.2.826.7"


@pytest.mark.parametrize("number", ["12345", "10008", "120260131"])
def test_a_uid_that_is_retained_holds_no_number_of_the_patient(number: str) -> None:
    """The object does not go out, for the UID is the same in all; the standard's own are nobody's."""
    holding, other = {"FrameOfReferenceUID": f"1.2.826.{number}.7"}, {"FrameOfReferenceUID": "1.2.826.7.8"}
    with pytest.raises(Withheld) as refused:
        released(Option.RETAIN_UIDS, PatientID=number, **holding)
    assert refused.value.code is Reason.IDENTIFIER_LEFT
    out = released(Option.RETAIN_UIDS, PatientID=number, **other)
    assert out.FrameOfReferenceUID == "1.2.826.7.8"
    assert out.SOPClassUID == "1.2.840.10008.5.1.4.1.1.2"


CHROME = [Element(0x00100010, "PN", b"Chrome^Ian"), Element(0x00200010, "SH", b"1024")]


@pytest.mark.parametrize(
    "left",
    [
        Element(0x00181020, "LO", b"for CHROME"),
        Element(0x00181020, "LO", b"1024"),
        Element(0x00280004, "CS", b"CHROME"),
        Element(0x00280004, "CS", b"MONOCHROME2\\CHROME2 "),
        Element(0x00281050, "DS", b"1024 Chrome "),
        Element(0x00080020, "DA", b"CHROME"),
        Element(0x00081150, "UI", b"1.2.chrome"),
        Element(0x00280030, "US", b"chrome"),
        Element(0x00120064, "SQ", items=((Element(0x00120063, "LO", b"CHROME"),),)),
        Element(0x00081115, "SQ", items=((Element(0x00181020, "LO", b"for CHROME"),),)),
    ],
)
def test_what_is_no_coincidence_is_still_found(left: Element) -> None:
    """A value that is none of its VR, text of any kind, at any depth but our own statement's."""
    names = Identifiers(standard_rules())
    names.note_all(CHROME)
    terms = tuple(Element(0x00280004, vr, b"MONOCHROME2 ") for vr in ("CS", "UN"))
    terms += tuple(Element(0x00281050, vr, b"1024") for vr in ("DS", "UN"))
    assert not is_left(terms, names, EXPLICIT_LITTLE)
    assert is_left((left, *terms), names, EXPLICIT_LITTLE) is (left.tag != 0x00120064)


def test_our_statement_holds_what_we_write_and_nothing_else() -> None:
    """So that it needs no search."""
    (made,) = make_instances(1, PatientName="Kilmister^Ian", DeidentificationMethod="for Kilmister")
    assert b"ilmister" not in clean(as_file(made))[1]
