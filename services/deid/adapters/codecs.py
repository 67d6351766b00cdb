"""Frames as arrays and back, by libraries: only in a process of its own (pictures_process.py)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder, get_encoder
from pydicom.uid import UID

from services.deid.domain.pictures.picture import Picture
from services.deid.domain.pictures.syntaxes import JPEG_LOSSLESS, is_encapsulated

#: Which library decodes what, where there is a choice (docs/adr/0029).
_HTJ2K = frozenset(f"1.2.840.10008.1.2.4.20{number}" for number in (1, 2, 3))
_RLE = "1.2.840.10008.1.2.5"


class Undecodable(Exception):
    """The bytes of a frame are no picture of the kind that the header describes."""


def decode(picture: Picture, frame: bytes) -> tuple[NDArray[Any], str]:
    """The frame as (rows, columns[, samples]) with all its bits, and its photometric interpretation."""
    if not is_encapsulated(picture.syntax):
        return _native(picture, frame), picture.photometric
    plugin = "pylibjpeg" if picture.syntax in _HTJ2K else "pydicom" if picture.syntax == _RLE else "gdcm"
    array, facts = get_decoder(UID(picture.syntax)).as_array(
        encapsulate([frame], has_bot=False),
        raw=True,
        decoding_plugin=plugin,
        pixel_keyword="PixelData",  # type: ignore[arg-type]  # pydicom types each option as the dictionary of all
        **_options(picture, picture.photometric, picture.planar),
    )
    return _shaped(picture, array), str(facts["photometric_interpretation"])


def _options(picture: Picture, photometric: str, planar: int) -> dict[str, Any]:
    """The picture in pydicom's words."""
    return {
        "rows": picture.rows,
        "columns": picture.columns,
        "number_of_frames": 1,
        "samples_per_pixel": picture.samples,
        "bits_allocated": picture.allocated,
        "bits_stored": picture.stored,
        "pixel_representation": int(picture.signed),
        "photometric_interpretation": photometric,
        "planar_configuration": planar,
    }


def _shaped(picture: Picture, array: NDArray[Any]) -> NDArray[Any]:
    shape: tuple[int, ...] = (picture.rows, picture.columns)
    if picture.samples > 1:
        shape += (picture.samples,)
    if array.shape != shape:
        raise Undecodable
    wanted = _dtype(picture)
    return np.array(array, dtype=wanted.newbyteorder("="))


def _dtype(picture: Picture) -> np.dtype[Any]:
    kind = f"{'i' if picture.signed else 'u'}{picture.allocated // 8}"
    return np.dtype(kind).newbyteorder("<" if picture.little else ">")


def _native(picture: Picture, frame: bytes) -> NDArray[Any]:
    """Native bytes (PS3.5 section 8.1.1): colour by pixel or by plane, in 422 four samples for two pixels."""
    if len(frame) != picture.frame_size:
        raise Undecodable
    flat: NDArray[Any] = np.frombuffer(frame, _dtype(picture))
    if picture.photometric == "YBR_FULL_422":
        return _from_422(flat.reshape(picture.rows, picture.columns // 2, 4))
    if picture.samples == 1:
        array: NDArray[Any] = flat.reshape(picture.rows, picture.columns)
    elif picture.planar:
        array = flat.reshape(picture.samples, picture.rows, picture.columns).transpose(1, 2, 0)
    else:
        array = flat.reshape(picture.rows, picture.columns, picture.samples)
    return np.array(array, dtype=array.dtype.newbyteorder("="))


def _from_422(pairs: NDArray[Any]) -> NDArray[Any]:
    """Y1 Y2 CB CR as two pixels (PS3.3 section C.7.6.3.1.2)."""
    one, other = pairs[..., [0, 2, 3]], pairs[..., [1, 2, 3]]
    return np.stack([one, other], axis=2).reshape(pairs.shape[0], -1, 3)


def encode(picture: Picture, syntax: str, photometric: str, array: NDArray[Any], original: bytes) -> bytes:
    """The array as a frame in ``syntax``, without loss; ``original`` is the frame that it was."""
    if not is_encapsulated(syntax):
        return _to_native(picture, photometric, array, original)
    if syntax == JPEG_LOSSLESS:
        raise Undecodable
    encoder = get_encoder(UID(syntax))
    encoded: bytes = encoder.encode(
        np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes(),
        **_options(picture, photometric, 0),
    )
    return encoded


def _to_native(picture: Picture, photometric: str, array: NDArray[Any], original: bytes) -> bytes:
    array = array.astype(_dtype(picture))
    if photometric == "YBR_FULL_422":
        pairs = array.reshape(picture.rows, picture.columns // 2, 2, 3)
        one, other = pairs[:, :, 0], pairs[:, :, 1]
        return np.stack([one[..., 0], other[..., 0], one[..., 1], one[..., 2]], axis=-1).tobytes()
    if picture.samples > 1 and picture.planar and not is_encapsulated(picture.syntax):
        return array.transpose(2, 0, 1).tobytes()
    return array.tobytes()
