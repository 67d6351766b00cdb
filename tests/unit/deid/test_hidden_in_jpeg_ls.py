"""Text behind the last sample of JPEG-LS frames, with a proof of a strict decoder and without."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGLSLossless, JPEGLSNearLossless

from services.deid.adapters.pictures import ProcessPictures
from services.deid.domain.codestream import clean_frame, cleaner_of
from services.deid.domain.part10 import Project
from services.deid.domain.pictures.picture import Picture
from services.deid.domain.withholding import Withheld
from tests.support.instances import as_file
from tests.unit.deid.originals import clean, trusting
from tests.unit.deid.pictures import encoded, picture
from tests.unit.deid.test_hidden_in_streams import SECRET, longer, segment, speckle


def frame_of(array: NDArray[Any], syntax: str = JPEGLSLossless, **attributes: Any) -> bytes:
    """A frame that CharLS wrote."""
    image = picture([array], ExplicitVRLittleEndian, stored=attributes.pop("stored", 8), **attributes)
    image.file_meta.TransferSyntaxUID = UID(syntax)
    return encoded(array, image)


def planted(frame: bytes, hidden: bytes = SECRET) -> bytes:
    """The frame with text before its end."""
    end = frame.rindex(b"\xff\xd9")
    return frame[:end] + hidden + frame[end:]


FLAT = np.zeros((40, 50), np.uint8)
FRAMES = {
    "noise": frame_of(speckle(40, 50)),
    "runs": frame_of(np.where(np.arange(2000).reshape(40, 50) % 47 < 40, 7, 200).astype(np.uint8)),
    "flat": frame_of(FLAT),
    "sixteen bits": frame_of(speckle(40, 50).astype(np.uint16) * 257, stored=16),
    "colours": frame_of(speckle(40, 50, 3)),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES.keys())
@pytest.mark.parametrize("hidden", [SECRET, b"M", b"\x01"])
def test_what_no_sample_needs_is_cut(frame: bytes, hidden: bytes) -> None:
    """T.87 annex A, decoded to the last sample."""
    assert clean_frame(frame) is frame
    assert clean_frame(planted(frame, hidden)) == frame


def test_real_frames_of_other_encoders(corpus: Path) -> None:
    """Near-lossless, by line and by sample, with presets, of several bit depths."""
    names = ("JPEGLSNearLossless_08", "JPEGLSNearLossless_16", "SC_rgb_jls_lossy_line", "SC_rgb_jls_lossy_sample")
    for name in (*names, "JLSL_08_07_0_1F", "JLSL_16_15_1_1F", "MR_small_jpeg_ls_lossless", "sm_image_jpegls"):
        (path,) = corpus.glob(f"dicom/**/{name}.dcm")
        source = dcmread(path)
        frame = clean_frame(get_frame(source.PixelData, 0, number_of_frames=int(source.get("NumberOfFrames", 1))))
        assert clean_frame(frame) is frame
        assert clean_frame(planted(frame)) == frame, name


def test_text_behind_what_a_segment_needs() -> None:
    """The frame header, the scan header, and presets (T.87 section C.2.4)."""
    frame = FRAMES["noise"]
    for marker in (b"\xff\xf7", b"\xff\xda"):
        assert clean_frame(longer(frame, marker)) == frame
    at = frame.index(b"\xff\xf7")
    presets = segment(0xFFF8, b"\1\0\xff\0\3\0\7\0\x15\0\x40")
    assert clean_frame(frame[:at] + longer(presets, b"\xff\xf8") + frame[at:]) == frame[:at] + presets + frame[at:]


@pytest.mark.parametrize("kind", [2, 3, 4, 5, 13])
def test_mapping_tables_and_extensions_are_withheld(kind: int) -> None:
    """Tables of anything."""
    frame = FRAMES["noise"]
    at = frame.index(b"\xff\xda")
    with pytest.raises(Withheld, match="code-stream-text"):
        clean_frame(frame[:at] + segment(0xFFF8, bytes((kind, 1, 1)) + SECRET) + frame[at:])


def test_frames_too_large_to_decode_need_a_proof() -> None:
    """Ours is a slow decoder."""
    frame = FRAMES["flat"]
    at = frame.index(b"\xff\xf7") + 5
    large = frame[:at] + b"\x40\0\x40\0" + frame[at + 4 :]
    with pytest.raises(Withheld, match="code-stream-text"):
        clean_frame(large)
    assert cleaner_of(JPEGLSLossless, None, proof=lambda frame: True)(large) is large


def describing(array: NDArray[np.uint8]) -> Picture:
    """What a header says of it."""
    rows, columns = array.shape
    return Picture(rows, columns, 1, 1, 8, 8, 7, False, "MONOCHROME2", 0, JPEGLSLossless)


def test_a_strict_decoder_proves_that_nothing_is_surplus(pictures: ProcessPictures) -> None:
    array = speckle(40, 50)
    assert pictures.decodes(describing(array), FRAMES["noise"])
    for hidden in (SECRET, b"M"):
        assert not pictures.decodes(describing(array), planted(FRAMES["noise"], hidden))


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEGLSNearLossless])
@pytest.mark.parametrize("hidden", [b"", SECRET])
def test_a_slice_is_asked_for_a_proof(pictures: ProcessPictures, syntax: str, hidden: bytes) -> None:
    """Whatever the profile does with pixels; where there is none the slice is decoded here."""
    image = picture([speckle(40, 50)], ExplicitVRLittleEndian)
    image.file_meta.TransferSyntaxUID = UID(syntax)
    image.PixelData = encapsulate([planted(FRAMES["noise"], hidden)])
    asked = []

    class Asked(ProcessPictures):
        def decodes(self, picture: Picture, frame: bytes) -> bool:
            asked.append(pictures.decodes(picture, frame))
            return asked[-1]

    found = trusting()
    project = Project(found.name, found.key, found.rules, found.refuse, found.profile, Asked())
    out = dcmread(BytesIO(clean(as_file(image), project)[1]))
    assert get_frame(out.PixelData, 0, number_of_frames=1).rstrip(b"\0") == FRAMES["noise"].rstrip(b"\0")
    assert set(asked) == {not hidden}
