"""What is remembered of the headers before is what would have been read."""

import copy
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from services.dicom_ingest.domain.header import Reading, read_header
from services.dicom_ingest.domain.json_model import Memory
from tests.fuzz.budget import examples
from tests.fuzz.data_sets import encoded
from tests.support.instances import make_instances
from tests.unit.dicom_ingest.data_sets import encode, read, shipped_samples

EXPLICIT, IMPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
SYNTAXES = (EXPLICIT, IMPLICIT, BIG)


def read_all(data_sets: Iterable[tuple[bytes, str]]) -> list[Reading]:
    """One after the other, as those of a batch are."""
    memory = Memory()
    return [
        read_header(lambda offset, count, data=data: data[offset : offset + count], len(data), syntax, memory)
        for data, syntax in data_sets
    ]


def check(data_sets: Iterable[tuple[bytes, str]]) -> None:
    """Each is read as if it were the only one."""
    data_sets = list(data_sets)
    assert read_all(data_sets) == [read(*each) for each in data_sets]


def test_real_files_among_each_other() -> None:
    """Twice, so that each comes once behind another and once behind itself."""
    samples = [(sample.data, sample.transfer_syntax) for sample in shipped_samples()]
    check(samples)
    check(each for sample in samples for each in (sample, sample))


def series(*changes: dict[str, object]) -> list[Dataset]:
    """An image for each of ``changes``, otherwise alike."""
    (first,) = make_instances(1, rows=8)
    first.PatientName, first.PixelRepresentation, first.SmallestImagePixelValue = "Buc^Jérôme", 1, -1
    images = [copy.deepcopy(first) for _ in changes]
    for image, change in zip(images, changes, strict=True):
        for keyword, value in change.items():
            if value is not None:
                setattr(image, keyword, value)
            elif keyword in image:
                delattr(image, keyword)
    return images


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 192"])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"InstanceNumber": 12345},
        {"PatientName": "Buc^Jérôme^Luc"},
        {"SmallestImagePixelValue": -2},
        {"SpecificCharacterSet": "ISO_IR 144", "PatientName": "Иванов"},
        {"SpecificCharacterSet": None},
        {"PixelRepresentation": 0, "SmallestImagePixelValue": 65535},
        {"ContentDate": "20260101", "AcquisitionNumber": 3, "Manufacturer": None},
        {"PixelData": b""},
    ],
)
def test_slices_that_differ(change: dict[str, object], charset: str, syntax: str) -> None:
    """There and back again; bytes behind another character set are not taken for what they were."""
    usual = {"SpecificCharacterSet": charset}
    check((encode(image, syntax), syntax) for image in series(usual, usual | change, usual, usual | change))


def test_what_an_item_says_of_its_pixels_is_not_said_of_the_image() -> None:
    """Neither at once, nor when the item is remembered."""
    signed = Dataset()
    signed.PixelRepresentation = 1
    (image,) = series({"PixelRepresentation": 0, "SmallestImagePixelValue": 65534})
    image.add_new(0x00281111, "SQ", [signed])  # behind Pixel Representation
    image.add_new(0x00281101, "US", [65535, 0, 16])
    image.add_new(0x00283002, "US", [65535, 0, 16])
    data = encode(image, IMPLICIT)
    for reading in read_all([(data, IMPLICIT)] * 2):
        assert reading.header is not None
        assert reading.header["00283002"] == {"vr": "US", "Value": [65535, 0, 16]}


def test_the_same_bytes_in_another_byte_order_or_encoding() -> None:
    (image,) = series({})
    check((encode(image, syntax), syntax) for syntax in (*SYNTAXES, *reversed(SYNTAXES)))


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_any_data_sets_behind_each_other(syntax: str) -> None:
    @examples(60)
    @given(st.lists(encoded(syntax), min_size=2, max_size=3))
    def any_two(data_sets: list[bytes]) -> None:
        check((data, syntax) for data in [*data_sets, data_sets[0]])

    any_two()
