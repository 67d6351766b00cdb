"""People, hosts, streets and folders in what should be the name of a device or of its software."""

from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread

from services.deid.domain.designations import leads_elsewhere, tells_others
from services.deid.domain.options import Option
from services.deid.domain.profile import Profile
from services.deid.domain.technical import are_designations, are_technical
from tests.support.instances import as_file, make_instances
from tests.unit.deid.originals import clean, trusting

OTHERS = [
    "Brzezinski, Grzegorz", "Brzezinski,G", "BRZEZINSKI, GRZEGORZ", "G. Brzezinski", "G.Brzezinski", "G. BRZEZINSKI",
    "for Grzegorz B.", "for Brzezinski from Ward", "by Brzezinski", "c/o Brzezinski", "operator Brzezinski",
    "MTA Brzezinski", "Brzezinski (MTRA)", "Grzegorz_B_1953", "Brzezinski_Grzegorz_1953", "080563T12",
    "brzezinski.dcm", "www.foo.pl/x", "foo.pl/brz", "ct.foo.pl", "http://brz.pl/x", "http://www.brz.pl",
    "https://github.com/brz/x", "192.168.1.7", "172.16.193.2", "169.254.3.4", "10.44.31.2", "85.214.132.117",
    "fe80::1ff:fe23:4567:890a", "2001:db8::1", "Main Street 5", "5 Main St", "12 Old Mill Rd", "ul. Polna 17",
    "/home/brzezinski/x", "C:\\Users\\brz", "C:/Users/brz", "\\home\\brz", "/Users/brz/Desktop",
]  # fmt: skip
THINGS = [
    "", "4.7.1.2", "10.0.0.1", "10.40.1.2", "51.80.108.010", "2.6.1.0", "8.0.141.0", "5G_1.5.6.850", "14:35:22",
    "12::5", "std::vector", "B. Braun", "V. Alpha", "G.E. Medical Systems", "Kuratorium OFFIS e.V.", "Hologic, Inc.",
    "ALOKA CO., LTD.", "SonoSite, Inc.", "Mortara Instrument, Inc.", "CMS, Inc.", "QIICR, compressed with Pydicom",
    "measured,/MAR^CT", "measured,AC_CT FLT", "Upper,1349", "HE1-4;NE1,2", "http://www.nema.org",
    "http://snomed.info/sct", "https://www.siemens-healthineers.com", "syngo.via", "tse.se", "PETCT.PT",
    "com.pixelmed.dicom.MultiFrameImageFactory", "Made for Windows", "for Research Use", "Designed by Siemens",
    "Asian, Pacific", "Hispanic, White", "SOMATOM Definition AS+", "DICOMLib Ver02.00.00", "MR Software release:15.0",
    "i-CAT", "Axial, Helical", "Profile: x", "C:\\D", "5 Echo", "2 Channel Head",
]  # fmt: skip


@pytest.mark.parametrize("text", OTHERS)
def test_what_tells_somebody_is_no_designation(text: str) -> None:
    """By how the words stand, whoever it is; what is called so is known (things.yaml)."""
    assert tells_others(text)
    assert not are_designations(text)
    assert not are_technical(text)


@pytest.mark.parametrize("text", THINGS)
def test_designations_of_devices_and_software_are_none_of_them(text: str) -> None:
    assert not tells_others(text)


def test_where_the_address_of_a_device_is_its_number() -> None:
    """A host tells a house, the numbers of IPv4 do not."""
    assert leads_elsewhere("http://brz.pl/x1")
    assert leads_elsewhere("ct01.waldesruh.de")
    assert not leads_elsewhere("172.16.193.2")


@given(st.text(alphabet="aB1.,:/\\_- @", max_size=300))
def test_it_answers_for_any_text(text: str) -> None:
    """And what stands apart in it is told."""
    assert tells_others(f"{text} http://brz.pl/x")


def cleaned(*options: Option, **attributes: Any) -> Dataset:
    """A CT slice with these attributes, de-identified with these options."""
    (slice_,) = make_instances(1, PatientName="Kilmister^Ian", **attributes)
    using = Profile("trial", options=frozenset(options))
    return dcmread(BytesIO(clean(as_file(slice_), trusting(profile=using))[1]))


@pytest.mark.parametrize("keyword", ["ManufacturerModelName", "SoftwareVersions", "StackID", "SequenceName"])
@pytest.mark.parametrize("text", ["G. Brzezinski", "C:\\Users\\brz", "/home/brz/x", "192.168.1.7"])
def test_technical_text_of_others_goes(keyword: str, text: str) -> None:
    assert not cleaned(**{keyword: text}).get(keyword)


@pytest.mark.parametrize(
    ("option", "keyword"),
    [
        (Option.PATIENT_CHARACTERISTICS, "EthnicGroup"),
        (Option.DEVICE_IDENTITY, "DeviceSerialNumber"),
        (Option.DEVICE_IDENTITY, "DetectorID"),
        (Option.DEVICE_IDENTITY, "DeviceDescription"),
    ],
)
def test_a_host_of_others_goes_from_what_an_option_retains(option: Option, keyword: str) -> None:
    assert not cleaned(option, **{keyword: "http://b1.pl/x"}).get(keyword)
    kept = "http://www.nema.org/1" if keyword != "EthnicGroup" else "Hispanic"
    assert cleaned(option, **{keyword: kept})[keyword].value == kept


@pytest.mark.parametrize(
    ("typed", "goes_out"),
    [
        ("BRZEZINSKI", "REMOVED"),
        ("HOT_IRON", "HOT_IRON"),
        ("WINTER", "WINTER"),
        ("CR_SEG", "CR_SEG"),
        ("DCMQI", "DCMQI"),
    ],
)
def test_a_content_label_is_a_term_or_made_of_words_of_things(typed: str, goes_out: str) -> None:
    """Type 1 of the objects that have it, so a dummy takes its place."""
    out = cleaned(SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4", Modality="SEG", ContentLabel=typed)
    assert out.ContentLabel == goes_out


DECLARED = {
    "SH": "Brzezinski",
    "LO": "BRZ Grzegorz",
    "UT": "Grzegorz Brzezinski",
    "CS": "BRZEZINSKI",
    "UR": "http://b.pl",
}


@pytest.mark.parametrize(("vr", "text"), DECLARED.items())
def test_what_the_object_declares_safe_is_free_text(vr: str, text: str) -> None:
    """Its word is the sender's alone: the words that may stay in free text do."""
    for value, left in ((text, None), ("HEAD", "HEAD")):
        (slice_,) = make_instances(1)
        item = Dataset()
        item.add_new(0x00080301, "US", 0x0021)
        item.add_new(0x00080302, "LO", "TRIAL")
        item.add_new(0x00080303, "CS", "SAFE")
        slice_.add_new(0x00080300, "SQ", [item])
        slice_.add_new(0x00210010, "LO", "TRIAL")
        slice_.add_new(0x00211001, vr, value)
        using = Profile("trial", options=frozenset({Option.SAFE_PRIVATE}))
        out = dcmread(BytesIO(clean(as_file(slice_), trusting(profile=using))[1]))
        assert out.get_item(0x00211001) is None if left is None else out[0x00211001].value == left
