"""Frames decoded and encoded again: nothing is lost on the way."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import encapsulate, generate_frames

from services.deid.adapters.codecs import Undecodable, decode, encode
from services.deid.adapters.pictures import ProcessPictures
from services.deid.domain.pictures.picture import Picture
from services.deid.domain.pictures.syntaxes import blanked, photometric_after
from tests.support.instances import as_file
from tests.unit.deid.originals import clean
from tests.unit.deid.pictures import PLACE, cleaning, lettered, picture

NATIVE, BIG_ENDIAN, RLE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5"
JPEG, JPEG_LOSSLESS, JPEG_LOSSLESS_FIRST = (f"1.2.840.10008.1.2.4.{number}" for number in (50, 57, 70))
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
JPEG_LS, NEAR_LOSSLESS = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"
JPEG_2000, LOSSY_2000, HTJ2K = (f"1.2.840.10008.1.2.4.{number}" for number in (90, 91, 201))

GREY = Picture(40, 50, 1, 1, 8, 8, 7, False, "MONOCHROME2", 0, NATIVE)
KINDS = {
    "8": GREY,
    "8 signed": replace(GREY, signed=True),
    "10": replace(GREY, allocated=16, stored=10, high_bit=9),
    "12 signed": replace(GREY, allocated=16, stored=12, high_bit=11, signed=True),
    "16": replace(GREY, allocated=16, stored=16, high_bit=15),
    "16 signed": replace(GREY, allocated=16, stored=16, high_bit=15, signed=True),
    "palette": replace(GREY, photometric="PALETTE COLOR"),
    "colour": replace(GREY, samples=3, photometric="RGB"),
    "colour 16": replace(GREY, samples=3, photometric="RGB", allocated=16, stored=16, high_bit=15),
    "luminance": replace(GREY, samples=3, photometric="YBR_FULL"),
}


def noise(kind: Picture) -> NDArray[Any]:
    """Every value that a sample may have."""
    shape = (kind.rows, kind.columns) + ((kind.samples,) if kind.samples > 1 else ())
    low, high = (-(1 << kind.stored - 1), 1 << kind.stored - 1) if kind.signed else (0, 1 << kind.stored)
    drawn: NDArray[Any] = np.random.default_rng(3).integers(low, high, shape)
    return drawn.astype(f"{'i' if kind.signed else 'u'}{kind.allocated // 8}")


@pytest.mark.parametrize("syntax", [NATIVE, RLE, JPEG_LOSSLESS_FIRST, JPEG_LS, JPEG_2000])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_encoded_decodes_to_the_same(syntax: str, kind: str) -> None:
    """Grey, palette and colour, 8 to 16 bits, with sign and without."""
    samples = noise(KINDS[kind])
    stored = encode(KINDS[kind], syntax, KINDS[kind].photometric, samples)
    assert np.array_equal(decode(replace(KINDS[kind], syntax=syntax), stored)[0], samples)


@pytest.mark.parametrize("kind", ["8", "8 signed", "palette", "colour", "luminance"])
def test_bytes_in_words_of_big_endian_are_the_same_picture(kind: str) -> None:
    """The second of two samples comes first (PS3.5 section 8.1.1)."""
    samples = noise(KINDS[kind])
    words = replace(KINDS[kind], syntax=BIG_ENDIAN, little=False, words=True)
    stored = encode(words, BIG_ENDIAN, words.photometric, samples)
    assert stored[:4] == samples.tobytes()[1::-1] + samples.tobytes()[3:1:-1]
    assert np.array_equal(decode(words, stored)[0], samples)
    plain = replace(words, words=False)
    assert encode(plain, BIG_ENDIAN, words.photometric, samples) == samples.tobytes()


def test_a_word_of_two_frames_is_not_guessed_at() -> None:
    words = replace(GREY, rows=3, columns=3, syntax=BIG_ENDIAN, little=False, words=True)
    with pytest.raises(Undecodable):
        decode(words, bytes(9))


@pytest.mark.parametrize(
    ("syntax", "after"),
    [
        (NATIVE, NATIVE),
        (RLE, RLE),
        (JPEG, NATIVE),
        (JPEG_LOSSLESS, JPEG_LOSSLESS_FIRST),
        (JPEG_LS, JPEG_LS),
        (NEAR_LOSSLESS, JPEG_LS),
        (JPEG_2000, JPEG_2000),
        (LOSSY_2000, JPEG_2000),
        (HTJ2K, JPEG_2000),
        ("1.2.840.10008.1.2.4.110", None),
    ],
)
def test_the_transfer_syntax_after_blanking_loses_nothing(syntax: str, after: str | None) -> None:
    """JPEG XL and what comes later can't be decoded, so they are not blanked."""
    assert blanked(replace(GREY, syntax=syntax)) == after


def test_samples_that_no_encoder_is_known_for_become_native() -> None:
    """Thirty-two bits, and six."""
    assert blanked(replace(GREY, syntax=RLE, allocated=32, stored=32)) == NATIVE
    assert blanked(replace(GREY, syntax=JPEG_LS, stored=6)) == NATIVE


@pytest.mark.parametrize(
    ("syntax", "target", "before", "after"),
    [
        (JPEG, NATIVE, "YBR_FULL_422", "RGB"),
        (JPEG, NATIVE, "RGB", "RGB"),
        (JPEG, NATIVE, "MONOCHROME1", "MONOCHROME1"),
        (LOSSY_2000, JPEG_2000, "YBR_ICT", "YBR_RCT"),
        (JPEG_2000, JPEG_2000, "YBR_RCT", "YBR_RCT"),
        (NATIVE, NATIVE, "YBR_FULL_422", "YBR_FULL_422"),
    ],
)
def test_colours_are_told_as_they_are_stored_then(syntax: str, target: str, before: str, after: str) -> None:
    """PS3.5 section 8.2."""
    assert photometric_after(syntax, target, before) == after


@pytest.mark.parametrize("colours", [1, 3])
def test_a_lossy_picture_becomes_native_and_stays_called_lossy(pictures: ProcessPictures, colours: int) -> None:
    """JPEG baseline: decoded, blanked, never compressed with loss again."""
    grey = lettered()
    stream = BytesIO()
    Image.fromarray(grey if colours == 1 else np.repeat(grey[..., None], 3, axis=2)).save(stream, "JPEG", quality=92)
    frame = grey if colours == 1 else np.repeat(grey[..., None], 3, axis=2)
    image = picture([frame], NATIVE, LossyImageCompression="01", LossyImageCompressionMethod="ISO_10918_1")
    image.PhotometricInterpretation = "MONOCHROME2" if colours == 1 else "YBR_FULL_422"
    image.file_meta.TransferSyntaxUID = JPEG
    image.PixelData = encapsulate([stream.getvalue()])
    before = dcmread(BytesIO(as_file(image))).pixel_array
    _, file = clean(as_file(image), cleaning(pictures))
    after = dcmread(BytesIO(file))
    assert after.file_meta.TransferSyntaxUID == NATIVE
    assert after.LossyImageCompression == "01"
    assert after.PhotometricInterpretation == ("MONOCHROME2" if colours == 1 else "RGB")
    left = after.pixel_array.astype(np.int64)
    assert np.ptp(left[grey > 100].reshape(-1)) <= 1
    left[PLACE], expected = 0, before.astype(np.int64)
    expected[PLACE] = 0
    assert np.abs(left - expected).max() <= 1


def test_twelve_bits_of_lossy_jpeg_are_decoded(corpus: Path) -> None:
    """JPEG Extended, process 4; the values are those that other decoders give for this file."""
    file = corpus / "dicom" / "pydicom_core" / "test_files" / "JPEG-lossy.dcm"
    image = dcmread(file)
    frame = next(generate_frames(image.PixelData, number_of_frames=1))
    described = Picture(1024, 256, 1, 1, 16, 12, 11, False, "MONOCHROME2", 0, JPEG_EXTENDED)
    samples, photometric = decode(described, frame)
    assert (samples.dtype, photometric) == (np.uint16, "MONOCHROME2")
    assert (int(samples[420, 140]), int(samples[230, 120])) == (244, 95)


def test_twelve_bits_of_lossy_jpeg_are_looked_at_and_go_out(corpus: Path, pictures: ProcessPictures) -> None:
    """A picture of a kind that always is; its frames stay the bytes that came."""
    file = (corpus / "dicom" / "pydicom_core" / "test_files" / "JPEG-lossy.dcm").read_bytes()
    _, cleaned = clean(file, cleaning(pictures))
    before, after = dcmread(BytesIO(file)), dcmread(BytesIO(cleaned))
    stored = [next(generate_frames(each.PixelData, number_of_frames=1)) for each in (before, after)]
    assert stored[0].rstrip(b"\0") == stored[1].rstrip(b"\0")
    assert after.file_meta.TransferSyntaxUID == JPEG_EXTENDED
    assert after.BurnedInAnnotation == "NO"
