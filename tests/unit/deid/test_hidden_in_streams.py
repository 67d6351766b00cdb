"""Text that stands in compressed frames where no picture needs a byte: it is cut out, or the frame is withheld."""

import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.rle import _rle_decode_segment
from pydicom.uid import RLELossless

from services.deid.domain.codestream import clean_frame, cleaner_of
from services.deid.domain.content.overlay_bits import Mask
from services.deid.domain.content.samples import Samples
from services.deid.domain.withholding import Withheld
from tests.unit.deid.pictures import encoded, picture

SECRET = b"MEYER^HANS 17.04.1951"
NATIVE = "1.2.840.10008.1.2.1"


def speckle(rows: int = 97, columns: int = 120, samples: int = 1) -> NDArray[np.uint8]:
    """A picture of soft noise."""
    small = np.random.default_rng(7).integers(0, 255, (20, 25, 3), dtype=np.uint8)
    array = np.asarray(Image.fromarray(small).resize((columns, rows)))
    return array if samples == 3 else array[..., 0].copy()


def saved(form: str, array: NDArray[np.uint8], **options: Any) -> bytes:
    """A frame that Pillow's encoders wrote."""
    stream = BytesIO()
    Image.fromarray(array).save(stream, form, **options)
    return stream.getvalue()


def segment(marker: int, value: bytes) -> bytes:
    """A marker segment."""
    return struct.pack(">HH", marker, len(value) + 2) + value


def longer(frame: bytes, marker: bytes, hidden: bytes = SECRET) -> bytes:
    """The frame with ``hidden`` at the end of the first segment of this marker, within its length."""
    at = frame.index(marker)
    (length,) = struct.unpack_from(">H", frame, at + 2)
    end = at + 2 + length
    return frame[: at + 2] + struct.pack(">H", length + len(hidden)) + frame[at + 4 : end] + hidden + frame[end:]


RUNS = Samples(97, 120, 1, 1, 1, 16, 12, 11, signed=False)


def runs(array: NDArray[Any]) -> bytes:
    """A frame of RLE Lossless, of one sample in 16 bits."""
    image = picture([array], NATIVE, stored=12)
    image.file_meta.TransferSyntaxUID = RLELossless
    return encoded(array, image)


def decoded_runs(frame: bytes) -> bytes:
    """The bytes of each plane, by pydicom."""
    return b"".join(map(bytes, (_rle_decode_segment(frame[a:b]) for a, b in _bounds(frame))))


def _bounds(frame: bytes) -> list[tuple[int, int]]:
    count, *offsets = struct.unpack_from("<16I", frame)
    return list(zip(offsets[:count], [*offsets[1:count], len(frame)], strict=True))


@pytest.fixture(scope="module")
def rle() -> bytes:
    return runs(speckle().astype(np.uint16) * 16)


def moved(frame: bytes, by: int) -> bytes:
    """The header of a frame whose segments all begin later."""
    count, *offsets = struct.unpack_from("<16I", frame)
    return struct.pack("<16I", count, *(each + by for each in offsets[:count]), *offsets[count:])


@pytest.mark.parametrize("place", ["unused offsets", "before", "between", "behind", "more runs"])
def test_text_around_runs(rle: bytes, place: str) -> None:
    """PS3.5 section G.3.1: what no run needs goes."""
    first, second = struct.unpack_from("<2I", rle, 4)
    grown = struct.pack("<3I", 2, first, second + len(SECRET)) + rle[12:64]
    planted = {
        "unused offsets": rle[:12] + SECRET[:20] + rle[32:],
        "before": moved(rle, len(SECRET)) + SECRET + rle[64:],
        "between": grown + rle[64:second] + SECRET + rle[second:],
        "behind": rle + SECRET,
        "more runs": rle + bytes((len(SECRET) - 1,)) + SECRET,
    }[place]
    cleaner = cleaner_of(RLELossless, RUNS)
    assert cleaner(planted) == rle
    assert cleaner(rle) is rle


def test_a_last_run_makes_no_more_bytes_than_there_are_pixels() -> None:
    frame = runs(np.arange(12, dtype=np.uint16).reshape(3, 4))
    cleaned = cleaner_of(RLELossless, RUNS._replace(rows=3, columns=3))(frame)
    assert decoded_runs(cleaned) == bytes(9) + bytes(range(9))


def test_runs_that_make_fewer_bytes_than_there_are_pixels_are_withheld(rle: bytes) -> None:
    """A header that tells of more rows would let any text be runs."""
    with pytest.raises(Withheld, match="code-stream-text"):
        cleaner_of(RLELossless, RUNS._replace(rows=98))(rle)


@pytest.mark.parametrize("signed", [False, True])
def test_bits_above_the_highest_are_cleared_in_runs(signed: bool) -> None:
    """PS3.5 section 8.1.1: the letters go, a repeated sign stays."""
    image = (np.arange(97 * 120, dtype=np.int32).reshape(97, 120) % 4096 - 2048 * signed).astype(np.int16)
    mask = Mask("<u2", 0xF000, 0x800 * signed)
    frame = runs(image.view(np.uint16))
    assert cleaner_of(RLELossless, RUNS, mask)(frame) is frame
    lettered = image.view(np.uint16).copy()
    lettered[10:20, 10:20] ^= 0x5000
    cleaned = cleaner_of(RLELossless, RUNS, mask)(runs(lettered))
    assert decoded_runs(cleaned) == decoded_runs(frame)


JPEGS = {
    "grey": saved("JPEG", speckle()),
    "colour": saved("JPEG", speckle(samples=3), optimize=True),
    "restarts": saved("JPEG", speckle(samples=3), restart_marker_blocks=3),
}
_TABLE = b"\xff\xdb"


@pytest.mark.parametrize("frame", JPEGS.values(), ids=JPEGS.keys())
@pytest.mark.parametrize("marker", [0xDB, 0xC4, 0xC0, 0xDA, 0xDD, 0xE0])
def test_text_behind_what_a_jpeg_segment_needs(frame: bytes, marker: int) -> None:
    """T.81 section B.2: within its length, and more than its grammar has."""
    code = bytes((0xFF, marker))
    assert clean_frame(frame) is frame
    if code in frame:
        assert clean_frame(longer(frame, code)) == frame


@pytest.mark.parametrize("marker", [0xCC, 0xDC, 0xDE, 0xDF, 0xE8])
def test_segments_that_no_frame_needs_here(marker: int) -> None:
    frame = JPEGS["colour"]
    at = frame.index(_TABLE)
    assert clean_frame(frame[:at] + segment(0xFF00 | marker, SECRET) + frame[at:]) == frame


@pytest.mark.parametrize("marker", [0x02, 0xBF, 0xC2, 0xC9, 0xF0, 0xF8, 0xFD])
def test_a_frame_of_another_process_or_with_an_unknown_marker_is_withheld(marker: int) -> None:
    frame = JPEGS["grey"]
    at = frame.index(_TABLE)
    with pytest.raises(Withheld, match="code-stream-text"):
        clean_frame(frame[:at] + segment(0xFF00 | marker, SECRET) + frame[at:])


def test_tables_that_no_scan_uses_go() -> None:
    """Sixty-four bytes of anything are a quantization table; so is one that another takes the place of."""
    frame = JPEGS["grey"]
    at, hidden = frame.index(_TABLE), SECRET.ljust(64)
    unused, replaced = segment(0xFFDB, b"\3" + hidden), segment(0xFFDB, b"\0" + hidden)
    codes = segment(0xFFC4, b"\x13" + bytes(15) + b"\5" + b"HANS1")
    assert clean_frame(frame[:at] + unused + replaced + codes + frame[at:]) == frame


@pytest.mark.parametrize("frame", JPEGS.values(), ids=JPEGS.keys())
@pytest.mark.parametrize("hidden", [SECRET, b"M", SECRET + b"\xff\0" + SECRET])
def test_text_behind_the_last_sample_of_a_jpeg(frame: bytes, hidden: bytes) -> None:
    """Between the entropy-coded data and the end, and of an interval before its restart marker."""
    end = frame.rindex(b"\xff\xd9")
    assert clean_frame(frame[:end] + hidden + frame[end:] + SECRET) == frame
    restart = frame.find(b"\xff\xd1")
    if restart > 0:
        assert clean_frame(frame[:restart] + hidden + b"\xff\xff" + frame[restart:]) == frame
        assert clean_frame(frame[:end] + b"\xff\xd0" + hidden + frame[end:]) == frame


def test_a_component_that_is_scanned_twice_is_withheld() -> None:
    """What the first scan shows nobody sees."""
    frame = JPEGS["grey"]
    scan = frame[frame.index(b"\xff\xda") : -2]
    with pytest.raises(Withheld, match="code-stream-text"):
        clean_frame(frame[:-2] + scan + frame[-2:])


def test_numbers_beside_the_colours_are_none_of_anybody() -> None:
    """A density of five letters, flags of four, a second segment."""
    frame = JPEGS["grey"]
    start, rest = frame[:2], frame[frame.index(_TABLE) :]
    jfif, adobe = segment(0xFFE0, b"JFIF\0\1\1MEYER\0\0"), segment(0xFFEE, b"Adobe\0\x64HANS\0")
    plain = segment(0xFFE0, b"JFIF\0\1\2\0\0\1\0\1\0\0") + segment(0xFFEE, b"Adobe\0\x64\0\0\0\0\0")
    assert clean_frame(start + jfif + adobe + jfif + adobe + rest) == start + plain + rest


def tile_part(frame: bytes, hidden: bytes) -> bytes:
    """The code stream with the last tile-part grown over ``hidden``, which stands behind its packets."""
    end, at = frame.rindex(b"\xff\xd9"), frame.rindex(b"\xff\x90\0\x0a")
    (length,) = struct.unpack_from(">I", frame, at + 6)
    grown = struct.pack(">I", length + len(hidden))
    return frame[: at + 6] + grown + frame[at + 10 : end] + hidden + frame[end:]


ORDERS: dict[str, dict[str, Any]] = {
    "LRCP": {"quality_layers": [40, 20, 5]},
    "RLCP": {"tile_size": (64, 50), "quality_layers": [40, 20]},
    "RPCL": {"precinct_size": (64, 32), "tile_size": (64, 50)},
    "PCRL": {"precinct_size": (32, 32), "irreversible": True},
    "CPRL": {"precinct_size": (64, 64), "plt": True, "codeblock_size": (16, 16)},
}
JPEG_2000 = {
    order: saved("JPEG2000", speckle(samples=3), no_jp2=True, progression=order, **options)
    for order, options in ORDERS.items()
}


@pytest.mark.parametrize("frame", JPEG_2000.values(), ids=JPEG_2000.keys())
def test_text_behind_the_last_packet_of_a_jpeg_2000_tile(frame: bytes) -> None:
    """A tile-part may say that it is longer than its packets are (Psot)."""
    assert clean_frame(frame) is frame
    assert clean_frame(tile_part(frame, SECRET)) == frame
    assert clean_frame(frame + SECRET) == frame


def test_text_behind_the_last_sample_of_real_frames(corpus: Path) -> None:
    """JPEG lossless, and JPEG 2000 and HTJ2K of other encoders."""
    names = ("JPEG-LL", "JPGExtended", "HTJ2KLossless_08_RGB", "HTJ2K_08_RGB", "693_J2KI", "MR2_J2KR")
    for name in names:
        (path,) = corpus.glob(f"dicom/**/{name}.dcm")
        frame = clean_frame(get_frame(dcmread(path).PixelData, 0, number_of_frames=1))
        end = frame.rindex(b"\xff\xd9")
        is_jpeg = frame.startswith(b"\xff\xd8")
        planted = frame[:end] + SECRET + frame[end:] if is_jpeg else tile_part(frame, SECRET)
        assert clean_frame(planted) == frame, name


@pytest.mark.parametrize("marker", [0xFF51, 0xFF52, 0xFF5C])
def test_text_behind_what_a_jpeg_2000_segment_needs(marker: int) -> None:
    frame = JPEG_2000["CPRL"]
    assert clean_frame(longer(frame, struct.pack(">H", marker))) == frame


@pytest.mark.parametrize("value", [b"\xff\x63", b"\xff\x56", b"\xff\x57", b"\xff\x59", b"\xff\x58", b"\xff\x64"])
def test_jpeg_2000_segments_that_decoding_does_not_need(value: bytes) -> None:
    """Registration, profiles, lengths of packets, comments; and lengths of packets that are none in a tile-part."""
    frame = JPEG_2000["LRCP"]
    hidden = segment(int.from_bytes(value), SECRET)
    at = frame.index(b"\xff\x90\0\x0a")
    assert clean_frame(frame[:at] + hidden + frame[at:]) == frame
    (length,) = struct.unpack_from(">I", frame, at + 6)
    head = frame[at : at + 6] + struct.pack(">I", length + len(hidden)) + frame[at + 10 : at + 12]
    assert clean_frame(frame[:at] + head + hidden + frame[at + 12 :]) == frame


@pytest.mark.parametrize("marker", [0xFF60, 0xFF61, 0xFF30, 0xFF65])
def test_packed_headers_and_unknown_segments_are_withheld(marker: int) -> None:
    frame = JPEG_2000["LRCP"]
    at = frame.index(b"\xff\x90\0\x0a")
    with pytest.raises(Withheld, match="code-stream-text"):
        clean_frame(frame[:at] + segment(marker, SECRET) + frame[at:])


@pytest.mark.parametrize(
    "version", [b"Kakadu-v1951.04.17", b"OpenJPH Ver 19510417", b"CharLS 4711938", b"OpenJPEG version 2.5.0 Meyer"]
)
def test_a_version_is_no_number_of_anybody(version: bytes) -> None:
    frame = JPEG_2000["LRCP"]
    at = frame.index(b"\xff\x90\0\x0a")
    assert clean_frame(frame[:at] + segment(0xFF64, b"\0\1" + version) + frame[at:]) == frame


def test_entries_of_tile_parts_that_there_are_not_go() -> None:
    """TLM (T.800 section A.7.1)."""
    frame = JPEG_2000["PCRL"]
    at = frame.index(b"\xff\x90\0\x0a")
    told = b"\0\x60\0\0" + frame[at + 6 : at + 10]
    planted = frame[:at] + segment(0xFF55, told + b"MEYER^HANS17") + segment(0xFF55, b"\1\x60MEYER^") + frame[at:]
    assert clean_frame(planted) == frame[:at] + segment(0xFF55, told) + frame[at:]
