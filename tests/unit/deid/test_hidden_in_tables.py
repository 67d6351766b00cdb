"""Text in tables of numbers: colour profiles, lookup tables."""

import struct
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from pydicom import Dataset, dcmread
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian

from services.deid.domain.content.icc import STANDARD_PROFILE, clean_profile
from tests.support.instances import as_file, make_instances
from tests.unit.deid.originals import clean, trusting
from tests.unit.deid.pictures import picture
from tests.unit.deid.test_hidden_in_streams import speckle

SECRET = b"MEYER^HANS 17.04.1951"


def standard() -> bytes:
    """A profile of sRGB as littlecms writes it."""
    found: bytes = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return found


def tags_of(profile: bytes) -> dict[bytes, bytes]:
    """Each tag's data."""
    (count,) = struct.unpack_from(">I", profile, 128)
    places = (struct.unpack_from(">4sII", profile, 132 + 12 * number) for number in range(count))
    return {name: profile[start : start + length] for name, start, length in places}


def made(header: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A profile of these tags, with text between them."""
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += struct.pack(">4sII", name, 132 + 12 * len(tags) + len(body), len(data))
        body += data + SECRET
    return struct.pack(">I", 128 + len(table) + len(body)) + header[4:128] + table + body


def cleaned(profile: bytes) -> bytes:
    found = clean_profile(profile)
    assert found is not None
    return found


def test_colours_are_what_they_were() -> None:
    given = standard()
    picture_, lab = Image.fromarray(speckle(samples=3)), ImageCms.createProfile("LAB")
    both = [
        ImageCms.applyTransform(
            picture_, ImageCms.buildTransform(ImageCms.ImageCmsProfile(BytesIO(each)), lab, "RGB", "LAB")
        )
        for each in (given, cleaned(given))
    ]
    assert np.array_equal(np.asarray(both[0]), np.asarray(both[1]))


def test_a_profile_that_was_cleaned_stays_as_it_is() -> None:
    for profile in (cleaned(standard()), STANDARD_PROFILE):
        assert clean_profile(profile) == profile


@pytest.mark.parametrize("start, stop", [(4, 8), (10, 12), (24, 36), (40, 64), (64, 80), (80, 128)])
def test_text_in_the_header_of_a_profile(start: int, stop: int) -> None:
    """Maker, time, platform, flags, device, intent, white, creator, digest, reserved bytes (ICC.1 clause 7.2)."""
    given = bytearray(standard())
    given[start:stop] = (SECRET * 3)[: stop - start]
    assert clean_profile(bytes(given)) == cleaned(standard())


@pytest.mark.parametrize("name", [b"rXYZ", b"wtpt", b"chad", b"rTRC"])
def test_reserved_and_surplus_bytes_of_a_tag(name: bytes) -> None:
    """And what stands between one tag and the next."""
    given = standard()
    tags = tags_of(given)
    planted = dict(tags)
    planted[name] = tags[name][:4] + SECRET[:4] + tags[name][8:] + SECRET
    if name == b"rTRC":
        planted[name] = planted[name][:10] + SECRET[:2] + planted[name][12:]
    planted |= {b"desc": b"mluc" + SECRET, b"cprt": b"text\0\0\0\0" + SECRET, b"vcgt": SECRET, b"meas": SECRET}
    assert clean_profile(made(given, planted)) == cleaned(given)


def table(**changes: Any) -> bytes:
    """A table of three colours for three (ICC.1 clause 10.11)."""
    matrix = changes.get("matrix", struct.pack(">9i", *(65536 * (each % 4 == 0) for each in range(9))))
    first = changes.get("first", struct.pack(">2H", 0, 65535))
    colours = changes.get("colours", np.arange(24, dtype=">u2").tobytes())
    head = b"mft2" + changes.get("reserved", bytes(4)) + b"\3\3\2" + changes.get("pad", b"\0")
    return head + matrix + struct.pack(">2H", 2, 2) + first + struct.pack(">4H", 0, 9, 0, 9) + colours + bytes(12)


def test_reserved_bytes_of_a_table() -> None:
    header, tags = standard(), tags_of(standard())
    planted = made(header, tags | {b"A2B0": table(reserved=b"HANS", pad=b"M") + SECRET})
    assert clean_profile(planted) == cleaned(made(header, tags | {b"A2B0": table()}))


@pytest.mark.parametrize(
    "planted",
    [
        {b"rXYZ": b"XYZ \0\0\0\0MEYER^HANS47"},
        {b"chad": b"sf32\0\0\0\0" + (SECRET * 2)[:36]},
        {b"rTRC": b"para\0\0\0\0\0\0\0\0HANS"},
        {b"rTRC": b"curv\0\0\0\0\0\0\0\1HA"},
        {b"rTRC": b"curv\0\0\0\0\0\0\0\x0a" + SECRET[:20]},
        {b"rTRC": b"curv\0\0\0\0\0\0\0\2HANS"},
        {b"A2B0": table(matrix=(SECRET * 2)[:36])},
        {b"A2B0": table(first=b"HANS")},
        {b"A2B0": table(colours=(SECRET * 3)[:48])},
    ],
    ids=["colour", "matrix", "formula", "exponent", "curve", "two points", "matrix of a table", "its curve", "colours"],
)
def test_a_profile_whose_numbers_are_letters_goes(planted: dict[bytes, bytes]) -> None:
    assert clean_profile(made(standard(), tags_of(standard()) | planted)) is None


@pytest.mark.parametrize("place, value", [(12, b"HANS"), (16, b"HANS"), (20, b"HANS"), (8, b"H")])
def test_a_profile_of_no_known_kind_goes(place: int, value: bytes) -> None:
    given = bytearray(standard())
    given[place : place + len(value)] = value
    assert clean_profile(bytes(given)) is None


def voi(descriptor: tuple[int, int, int], data: bytes, syntax: UID = ExplicitVRLittleEndian) -> Dataset:
    """An image with a VOI LUT (PS3.3 section C.11.2)."""
    lut = Dataset()
    lut.LUTDescriptor = list(descriptor)
    lut["LUTDescriptor"].VR = "US"
    lut.add_new(0x00283006, "OW", data)
    (image,) = make_instances(1, VOILUTSequence=[lut])
    image.file_meta.TransferSyntaxUID = syntax
    return image


def words(*numbers: int, order: str = "<") -> bytes:
    return struct.pack(f"{order}{len(numbers)}H", *numbers)


def entries(image: Dataset) -> bytes:
    """The LUT that goes out."""
    _, file = clean(as_file(image), trusting())
    assert SECRET[:6] not in file
    return bytes(dcmread(BytesIO(file)).VOILUTSequence[0].LUTData)


@pytest.mark.parametrize(
    "descriptor, data",
    [
        ((256, 0, 8), bytes(range(256))),
        ((255, 0, 8), bytes(range(255)) + b"\0"),
        ((256, 0, 8), words(*range(256))),
        ((256, 0, 12), words(*range(0, 4096, 16))),
        ((0, 0, 16), words(*range(65536))),
    ],
)
def test_a_lookup_table_of_its_length_stays(descriptor: tuple[int, int, int], data: bytes) -> None:
    assert entries(voi(descriptor, data)) == data
    assert entries(voi(descriptor, data + SECRET + b"!")) == data


def test_a_lookup_table_of_one_letter_in_each_entry_is_a_ramp() -> None:
    spread = b"".join(bytes((letter, 0)) for letter in b"MeyerHans4711938")
    assert entries(voi((16, 0, 8), spread)) == words(*range(0, 256, 17))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_lookup_table_that_is_shorter_or_text_is_a_ramp(syntax: UID) -> None:
    ramp = words(0, 819, 1638, 2457, 3276, 4095, order=">" if syntax == ExplicitVRBigEndian else "<")
    for data in (SECRET[:10], SECRET[:12]):
        assert entries(voi((6, 0, 12), data, syntax)) == ramp


def palette(first: int, data: bytes, segmented: bool = False, bits: int = 8) -> Dataset:
    """A picture of palette colours (PS3.3 sections C.7.6.3.1.5 and C.7.9.2)."""
    image = picture([speckle()], ExplicitVRLittleEndian, PhotometricInterpretation="PALETTE COLOR")
    for number in range(3):
        image.add_new(0x00281101 + number, "US", [first, 0, bits])
        image.add_new((0x00281221 if segmented else 0x00281201) + number, "OW", data)
    return image


@pytest.mark.parametrize("hidden", [b"", SECRET + b"!"])
@pytest.mark.parametrize(
    "data, bits",
    [
        (b"\0\1\xff\1\xff\0", 8),
        (words(0, 2, 0, 28784, 1, 254, 65535), 16),
        (words(0, 4, 1, 2, 3, 4, 1, 124, 500, 2, 2, 0, 0), 16),
    ],
    ids=["bytes", "words", "repeated"],
)
def test_segments_end_where_all_entries_are_made(data: bytes, bits: int, hidden: bytes) -> None:
    out = clean(as_file(palette(256, data + hidden, segmented=True, bits=bits)), trusting())[1]
    assert SECRET[:6] not in out
    assert dcmread(BytesIO(out)).SegmentedRedPaletteColorLookupTableData == data


@pytest.mark.parametrize("data", [b"\0\x14" + SECRET[:20], b"\1\2\3\4\5\6", SECRET + b"!", b"\2\1\0\0\0\0"])
def test_segments_that_make_something_else_are_a_ramp(data: bytes) -> None:
    out = dcmread(BytesIO(clean(as_file(palette(256, data, segmented=True)), trusting())[1]))
    assert out.SegmentedRedPaletteColorLookupTableData == b"\0\1\0\1\xff\xff"


def test_a_palette_has_as_many_entries_as_it_says() -> None:
    colours = bytes(range(0, 256, 2))
    out = dcmread(BytesIO(clean(as_file(palette(128, colours + SECRET + b"!")), trusting())[1]))
    assert out.RedPaletteColorLookupTableData == out.BluePaletteColorLookupTableData == colours


def test_a_table_that_nothing_describes_goes() -> None:
    image = palette(128, SECRET + b"!")
    for number in range(3):
        del image[0x00281101 + number]
    out = dcmread(BytesIO(clean(as_file(image), trusting())[1]))
    assert "RedPaletteColorLookupTableData" not in out
