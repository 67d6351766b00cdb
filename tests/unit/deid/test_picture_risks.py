"""Which pictures are looked at, what is blanked unseen, and what a profile holds back."""

import struct
from typing import Any

import pytest

from services.deid.domain.dataset import EXPLICIT_LITTLE, Element
from services.deid.domain.pictures.boxes import Box
from services.deid.domain.pictures.devices import standard_devices
from services.deid.domain.pictures.policy import PicturePolicy
from services.deid.domain.pictures.retouch import Care, Order
from services.deid.domain.pictures.risk import Header, refusal_of, standard_risks
from services.deid.domain.profile import Profile
from services.deid.domain.withholding import Withheld
from shared.yaml_lines import DocumentRefused

CT, MR, US, SC = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.6.1",
    "1.2.840.10008.5.1.4.1.1.7",
)
SEGMENTATION, FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.1.1.1"
NATIVE = "1.2.840.10008.1.2.1"


def number(tag: int, value: int) -> Element:
    """An attribute of two bytes."""
    return Element(tag, "US", struct.pack("<H", value))


def header(sop_class: str, *more: Element, size: tuple[int, int] = (480, 640)) -> tuple[Element, ...]:
    """That of a grey picture of this class."""
    described = {
        element.tag: element
        for element in (
            Element(0x00080016, "UI", sop_class.encode()),
            Element(0x00280004, "CS", b"MONOCHROME2"),
            number(0x00280002, 1),
            number(0x00280010, size[0]),
            number(0x00280011, size[1]),
            number(0x00280100, 16),
            number(0x00280101, 12),
            number(0x00280102, 11),
            number(0x00280103, 0),
            *more,
        )
    }
    return tuple(described[tag] for tag in sorted(described))


def order(
    sop_class: str, *more: Element, profile: Profile | None = None, size: tuple[int, int] = (480, 640)
) -> Order | None:
    """What is to be done with a grey picture of this class."""
    found = Header(header(sop_class, *more, size=size), NATIVE, EXPLICIT_LITTLE)
    return standard_risks().order(found, profile or Profile("p"), standard_devices())


@pytest.mark.parametrize(
    ("sop_class", "more", "care"),
    [
        (US, (), Care.ALWAYS),
        (SC, (), Care.ALWAYS),
        (CT, (), Care.SIGNS),
        (CT, (Element(0x00080008, "CS", b"ORIGINAL\\PRIMARY\\AXIAL"),), Care.SIGNS),
        (CT, (Element(0x00080008, "CS", b"DERIVED \\SECONDARY"),), Care.ALWAYS),
        (CT, (Element(0x00080008, "CS", b"ORIGINAL\\PRIMARY\\LOCALIZER"),), Care.ALWAYS),
        (CT, (Element(0x00280301, "CS", b"YES "),), Care.ALWAYS),
        (CT, (Element(0x00280301, "CS", b"NO"),), Care.SIGNS),
        (MR, (Element(0x00080064, "CS", b"WSD"),), Care.ALWAYS),
        (MR, (Element(0x00280004, "CS", b"RGB"),), Care.ALWAYS),
    ],
)  # fmt: skip
def test_how_closely_pictures_are_looked_at(sop_class: str, more: tuple[Element, ...], care: Care) -> None:
    """By class, and what a cross-section says of itself."""
    found = order(sop_class, *more)
    assert found is not None
    assert found.care is care


@pytest.mark.parametrize("sop_class", [SEGMENTATION, FOR_PROCESSING])
def test_what_the_risk_class_excludes_is_not_looked_at(sop_class: str) -> None:
    """Masks and raw detector data."""
    assert order(sop_class) is None


def test_a_known_device_has_its_regions_blanked() -> None:
    """ADAC's screens of 832 by 1024 pixels, whatever the case of the manufacturer's name; and no others."""
    found = order(SC, Element(0x00080070, "LO", b"Adac Labs "), size=(832, 1024))
    assert found is not None
    assert found.regions == (Box(0, 0, 1024, 80), Box(0, 762, 1024, 832))
    other = order(SC, Element(0x00080070, "LO", b"Adac Labs "), size=(831, 1024))
    assert other is not None
    assert other.regions == ()


def test_a_site_has_devices_of_its_own() -> None:
    """One that burns in nothing is known by that."""
    text = "devices: [{contains: {Manufacturer: Acme}, equals: {Modality: US}, regions: []}]"
    devices = standard_devices().with_those_of(text)
    assert len(devices.devices) == len(standard_devices().devices) + 1 > 50


def test_a_value_counts_as_it_is_written() -> None:
    """Not as YAML 1.1 has it, where YES is true and 0123 a number."""
    text = "devices: [{equals: {BurnedInAnnotation: YES, SoftwareVersions: 0123}, regions: [[1, 2, 3, 4]]}]"
    mine = standard_devices().with_those_of(text).devices[-1]
    assert (dict(mine.equals), mine.regions) == ({0x00280301: "YES", 0x00181020: "0123"}, (Box(1, 2, 4, 6),))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("devices: [{regions: [[0, 0, 10, 10]]}]", "site.yaml:1: a device needs an attribute that tells it"),
        ("devices:\n- {contains: {}, regions: []}", "site.yaml:2: 'contains' names no attribute"),
        ("devices:\n- {contains: {Manufacturer: ''}, regions: []}", "site.yaml:2: 'Manufacturer' must be a text"),
        ("devices:\n- {equals: {Manufactuer: A}, regions: []}", "site.yaml:2: unknown key 'Manufactuer' in 'equals'"),
        ("devices:\n- {equals: {Modality: US}}", "site.yaml:2: a device has no 'regions'"),
        ("devices:\n- equals: {Modality: US}\n  regions: 5", "site.yaml:3: 'regions' must be a list"),
        ("devices:\n- equals: {Modality: US}\n  regions: [[0, 0, 10, 0]]", "site.yaml:3: a region must be x, y"),
        ("devices:\n- equals: {Modality: US}\n  regions: [[-1, 0, 10, 5]]", "site.yaml:3: a region must be x, y"),
        ("devices:\n- equals: {Modality: US}\n  regions: [0, 0, 10, 5]", "site.yaml:3: a region must be x, y"),
        ("devices: []", "site.yaml:1: 'devices' must be a list with at least one item"),
        ("attributes: {Modality: '00080060'}", "site.yaml:1: unknown key 'attributes' in the catalogue"),
        ("", "site.yaml:1: the document is empty"),
    ],
)
def test_what_is_wrong_in_a_catalogue_is_told_with_its_line(text: str, told: str) -> None:
    """A device that nothing tells would stand for all; a region that is none would hide nothing."""
    with pytest.raises(DocumentRefused) as refused:
        standard_devices().with_those_of(text, "site.yaml")
    assert told in str(refused.value)


def held(profile: Profile, sop_class: str, *more: Element, **where: Any) -> str | None:
    """The reason to withhold, None when there is none."""
    try:
        order(sop_class, *more, profile=profile, **where)
    except Withheld as refused:
        return refused.reason
    return None


def test_an_unknown_device_is_held_where_the_profile_asks() -> None:
    """Only for classes that are always looked at."""
    profile = Profile("p", pictures=PicturePolicy(known_devices_only=True))
    assert held(profile, US) == "unknown-device"
    assert held(profile, CT) is None
    assert held(profile, SC, Element(0x00080070, "LO", b"ADAC"), size=(832, 1024)) is None
    assert held(Profile("p"), US) is None


def test_secondary_captures_are_held_where_the_profile_asks() -> None:
    """Any of their classes."""
    assert held(Profile("p", pictures=PicturePolicy(secondary_capture=False)), SC) == "secondary-capture"
    assert held(Profile("p"), SC) is None


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ((Element(0x00180015, "CS", b"HEAD"),), "face"),
        ((Element(0x00180015, "CS", b"CHEST "),), None),
        ((Element(0x00180015, "CS", b"CHEST "), Element(0x0008103E, "LO", b"Brain w/o")), "face"),
        ((), "face"),
    ],
)  # fmt: skip
def test_heads_are_held_where_the_profile_asks(more: tuple[Element, ...], reason: str | None) -> None:
    """CT and MR; one that does not say which part it shows may be a head. Cleaning pixels is another matter."""
    asking, other = Profile("p", hold_faces=True), Profile("p")
    for cleans in (True, False):
        assert refusal_of(asking, cleans_pixels=cleans)(header(CT, *more)) == reason
        assert refusal_of(other, cleans_pixels=cleans)(header(CT, *more)) is None
    assert refusal_of(asking, cleans_pixels=True)(header(US, *more)) is None


def test_what_lies_outside_of_ultrasound_regions() -> None:
    """PS3.3 section C.8.5.5: the two corners are both within."""
    corners = {0x00186018: 100, 0x0018601A: 50, 0x0018601C: 539, 0x0018601E: 429}
    item = tuple(Element(tag, "UL", struct.pack("<I", value)) for tag, value in corners.items())
    regions = Element(0x00186011, "SQ", items=(item,))
    found = order(US, regions, profile=Profile("p", pictures=PicturePolicy(only_ultrasound_regions=True)))
    assert found is not None
    assert set(found.regions) == {
        Box(0, 0, 640, 50), Box(0, 50, 100, 430), Box(540, 50, 640, 430), Box(0, 430, 640, 480),
    }  # fmt: skip
    as_it_is = order(US, regions)
    assert as_it_is is not None
    assert as_it_is.regions == ()


def test_an_overlay_in_unused_bits_is_cleared_whatever_the_class() -> None:
    """PS3.5 section 8.1.2: the four bits above twelve."""
    plane = (number(0x60000100, 16), number(0x60000102, 12))
    for sop_class in (CT, FOR_PROCESSING):
        found = order(sop_class, *plane)
        assert found is not None
        assert found.cleared_bits == 0xF000
