"""Private attributes under Retain Safe Private (PS3.15 section E.3.10)."""

import struct
from io import BytesIO
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from services.deid.domain.dataset import IMPLICIT_LITTLE, Element, encode
from services.deid.domain.options import Option
from services.deid.domain.profile import Profile
from services.deid.domain.rules import standard_rules
from services.deid.domain.values import BINARY
from tests.support.instances import as_file, make_instances
from tests.unit.deid.originals import clean, trusting

SAFE = Profile("trial", options=frozenset({Option.SAFE_PRIVATE}))


def cleaned(*elements: tuple[int, str, Any], using: Profile = SAFE) -> Dataset:
    """A slice of Ian Kilmister's with these attributes, de-identified."""
    (slice_,) = make_instances(1, PatientName="Kilmister^Ian", PatientID="MRN8472655")
    for tag, vr, value in elements:
        slice_.add_new(tag, vr, value)
    return dcmread(BytesIO(clean(as_file(slice_), trusting(profile=using))[1]))


def private(out: Dataset) -> dict[int, Any]:
    """The private attributes at the top, creators among them."""
    return {int(element.tag): element.value for element in out if element.tag.is_private}


def test_the_list_is_the_standard_one_without_pictures_and_files() -> None:
    """479 rows of Table E.3.10-1; what holds bytes, of pictures or files in a vendor's code, stays behind."""
    listed = standard_rules().safe_private
    assert len(listed) == 479 - 20
    assert not BINARY & set(listed.values())
    assert listed[0x7053, "Philips PET Private Group", 0x00] == "DS"
    assert (0x2001, "Philips Imaging DD 001", 0x7D) not in listed


def test_a_block_is_found_by_its_creator_wherever_it_lies() -> None:
    out = cleaned(
        (0x70530010, "LO", "ACME"),
        (0x70530042, "LO", "Philips PET Private Group"),
        (0x70534200, "DS", "1.5"),
        (0x70534201, "DS", "2.5"),
        (0x70531000, "DS", "3.5"),
    )
    assert private(out) == {0x70530042: "Philips PET Private Group", 0x70534200: 1.5}


def test_without_the_option_everything_private_goes() -> None:
    elements = ((0x70530010, "LO", "Philips PET Private Group"), (0x70531000, "DS", "1.5"))
    assert private(cleaned(*elements, using=Profile("trial"))) == {}


@pytest.mark.parametrize(
    ("vr", "value"),
    [
        ("LO", "for Kilmister"),
        ("CS", "KILMISTER"),
        ("CS", "head kilmister"),
        ("OB", b"KILMISTER "),
        ("UN", b"Kilmister "),
    ],
)
def test_a_safe_element_that_names_the_patient_goes(vr: str, value: Any) -> None:
    assert private(cleaned((0x01E10010, "LO", "ELSCINT1"), (0x01E11026, vr, value))) == {}


def test_a_safe_element_in_vr_un_gets_the_vr_of_the_list() -> None:
    out = cleaned((0x01E10010, "UN", b"ELSCINT1"), (0x01E11026, "UN", b"HEAD"))
    assert (out[0x01E11026].VR, out[0x01E11026].value) == ("CS", "HEAD")


def test_an_orphan_and_another_group_are_unknown() -> None:
    assert private(cleaned((0x01E11026, "CS", "HEAD"))) == {}
    assert private(cleaned((0x01E30010, "LO", "ELSCINT1"), (0x01E31026, "CS", "HEAD"))) == {}


def test_a_safe_sequence_is_walked() -> None:
    """Its standard attributes by their rules, its private ones by the creators in the item itself."""
    item = Dataset()
    item.PatientName, item.StudyDate = "Kilmister^Ian", "20200310"
    item.add_new(0x20010010, "LO", "Philips Imaging DD 001")
    item.add_new(0x20011013, "SL", 7)
    item.add_new(0x20011099, "LO", "Kilmister")
    item.KVP = "120"
    out = cleaned((0x20010010, "LO", "Philips Imaging DD 001"), (0x2001105F, "SQ", [item]))
    (found,) = out[0x2001105F].value
    assert [int(each.tag) for each in found] == [0x00080020, 0x00100010, 0x00180060, 0x20010010, 0x20011013]
    assert (found.PatientName, found.StudyDate, found[0x20011013].value) == ("", "", 7)


def test_a_safe_sequence_in_vr_un_is_walked_too() -> None:
    """Which holds implicit VR whatever the object is in (PS3.5 section 6.2.2)."""
    inside = encode([Element(0x00100010, "PN", b"Kilmister^Ian"), Element(0x00180060, "DS", b"120 ")], IMPLICIT_LITTLE)
    value = struct.pack("<HHI", 0xFFFE, 0xE000, len(inside)) + inside
    out = cleaned((0x20010010, "LO", "Philips Imaging DD 001"), (0x2001105F, "UN", value))
    assert (out[0x2001105F].value[0].KVP, out[0x2001105F].value[0].PatientName) == (120, "")
    broken = cleaned((0x20010010, "LO", "Philips Imaging DD 001"), (0x2001105F, "UN", value[:-1] + b"xx"))
    assert private(broken) == {}


def declared(status: str, numbers: list[int] | None = None, creator: str = "TRIAL") -> tuple[int, str, Any]:
    """What an object says of its private block (PS3.3 section C.12.1.1.7)."""
    item = Dataset()
    item.add_new(0x00080301, "US", 0x0021)
    item.add_new(0x00080302, "LO", creator)
    item.add_new(0x00080303, "CS", status)
    if numbers:
        item.add_new(0x00080304, "US", numbers)
    return (0x00080300, "SQ", [item])


BLOCK = ((0x00210010, "LO", "TRIAL"), (0x00211001, "DS", "1.5"), (0x00211002, "LO", "Kilmister"), (0x00211003, "US", 9))


@pytest.mark.parametrize(
    ("declaration", "kept"),
    [
        (declared("SAFE"), {0x00210010, 0x00211001, 0x00211003}),
        (declared("MIXED", [0x01]), {0x00210010, 0x00211001}),
        (declared("UNSAFE", [0x01]), set()),
        (declared("SAFE", creator="OTHER"), set()),
    ],
)
def test_what_an_object_declares_safe_stays_unless_it_names_the_patient(declaration: Any, kept: set[int]) -> None:
    assert set(private(cleaned(declaration, *BLOCK))) == kept


def test_a_creator_that_names_the_patient_goes_with_its_block() -> None:
    block = ((0x00210010, "LO", "Kilmister"), (0x00211001, "DS", "1.5"))
    assert private(cleaned(declared("SAFE", creator="Kilmister"), *block)) == {}


def test_a_site_may_add_elements_that_it_knows() -> None:
    using = Profile("trial", options=frozenset({Option.SAFE_PRIVATE}), private={(0x0021, "TRIAL", 0x01): "DS"})
    assert set(private(cleaned(*BLOCK, using=using))) == {0x00210010, 0x00211001}


def test_bytes_do_not_go_out_on_the_word_of_the_object_alone() -> None:
    """Nobody can look into them; a site that knows what they are may list them, and text in them still shows."""
    block = ((0x00210010, "LO", "TRIAL"), (0x00211001, "OB", bytes(range(20))), (0x00211003, "US", 9))
    assert set(private(cleaned(declared("SAFE"), *block))) == {0x00210010, 0x00211003}
    using = Profile("trial", options=frozenset({Option.SAFE_PRIVATE}), private={(0x0021, "TRIAL", 0x01): "OB"})
    assert set(private(cleaned(*block, using=using))) == {0x00210010, 0x00211001}
    spelled = (0x00211001, "OB", b"\1\0Zwetschkenbaum Xaver\2\0")
    assert private(cleaned(block[0], spelled, using=using)) == {}


@pytest.mark.parametrize("text", ["Mr. Zwetschkenbaum", "078-05-1120", "seen with the mother of Xaver in bed seven"])
def test_a_safe_text_with_the_data_of_others_is_cleaned(text: str) -> None:
    """(2001,xx5D) of Philips Imaging DD 001 is a safe ST."""
    out = private(cleaned((0x20010010, "LO", "Philips Imaging DD 001"), (0x2001105D, "ST", text)))
    assert not {"Zwetschkenbaum", "078-05-1120", "Xaver"} & set(str(out.get(0x2001105D, "")).split())
