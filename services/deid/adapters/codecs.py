"""Frames as arrays and back, by libraries: only in a process of its own (pictures_process.py)."""

from typing import Any

import gdcm
import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.pixels import convert_color_space, get_decoder, get_encoder
from pydicom.uid import UID

from services.deid.domain.pictures.picture import Picture
from services.deid.domain.pictures.syntaxes import JPEG_LOSSLESS_FIRST, RGB_WHEN_DECODED, is_encapsulated

#: Which of pydicom's plug-ins decodes what (docs/adr/0029); GDCM where nothing else is said.
_PLUGINS = {
    "1.2.840.10008.1.2.5": "pydicom",
    "1.2.840.10008.1.2.4.80": "pyjpegls",
    "1.2.840.10008.1.2.4.81": "pyjpegls",
    "1.2.840.10008.1.2.4.201": "pylibjpeg",
    "1.2.840.10008.1.2.4.202": "pylibjpeg",
    "1.2.840.10008.1.2.4.203": "pylibjpeg",
}
_JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"


class Undecodable(Exception):
    """The bytes of a frame are no picture of the kind that the header describes."""


def decode(picture: Picture, frame: bytes) -> tuple[NDArray[Any], str]:
    """The frame as (rows, columns[, samples]) with all its bits, and its photometric interpretation."""
    if not is_encapsulated(picture.syntax):
        return _native(picture, frame), picture.photometric
    if picture.syntax == _JPEG_EXTENDED and picture.stored > 8:
        return _shaped(picture, _jpeg_extended(picture, frame)), picture.photometric
    array, facts = get_decoder(UID(picture.syntax)).as_array(
        encapsulate([frame], has_bot=False),
        raw=True,
        decoding_plugin=_PLUGINS.get(picture.syntax, "gdcm"),
        pixel_keyword="PixelData",  # type: ignore[arg-type]  # pydicom types each option as the dictionary of all
        **_options(picture, picture.photometric, picture.planar),
    )
    photometric = str(facts["photometric_interpretation"])
    if picture.syntax in RGB_WHEN_DECODED and photometric.startswith("YBR"):
        array, photometric = convert_color_space(array, photometric, "RGB"), "RGB"
    return _shaped(picture, array), photometric


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


def _in_order(picture: Picture, frame: bytes) -> bytes:
    """The bytes of a frame by sample, or as they are stored: the same both ways. Undecodable where a word is of two
    frames."""
    if not picture.is_swapped:
        return frame
    if len(frame) % 2:
        raise Undecodable
    return np.frombuffer(frame, "u2").byteswap().tobytes()


def _native(picture: Picture, frame: bytes) -> NDArray[Any]:
    """Native bytes (PS3.5 section 8.1.1): colour by pixel or by plane, in 422 four samples for two pixels."""
    if len(frame) != picture.frame_size:
        raise Undecodable
    flat: NDArray[Any] = np.frombuffer(_in_order(picture, frame), _dtype(picture))
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


def encode(picture: Picture, syntax: str, photometric: str, array: NDArray[Any]) -> bytes:
    """The array as a frame in ``syntax``, without loss."""
    if not is_encapsulated(syntax):
        return _in_order(picture, _to_native(picture, photometric, array))
    if syntax == JPEG_LOSSLESS_FIRST:
        return _jpeg_lossless(picture, photometric, array)
    encoder = get_encoder(UID(syntax))
    encoded: bytes = encoder.encode(
        np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes(),
        **_options(picture, photometric, 0),
    )
    return encoded


def _jpeg_extended(picture: Picture, frame: bytes) -> NDArray[Any]:
    """Process 4 with 12 bits (PS3.5 section A.4.1) by GDCM, which pydicom does not ask for it."""
    fragment, fragments = gdcm.Fragment(), gdcm.SequenceOfFragments.New()
    fragment.SetByteStringValue(frame)
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    _describe(image, picture, picture.photometric, gdcm.TransferSyntax.JPEGExtendedProcess2_4)
    image.SetDataElement(element)
    stored = image.GetBuffer().encode("utf-8", "surrogateescape")
    if picture.samples != 1 or len(stored) != picture.decoded_size:
        raise Undecodable
    return np.frombuffer(stored, _dtype(picture)).reshape(picture.rows, picture.columns)


def _describe(image: Any, picture: Picture, photometric: str, syntax: int) -> None:
    """Tell GDCM what kind of picture ``image`` is."""
    image.SetNumberOfDimensions(2)
    image.SetDimensions((picture.columns, picture.rows, 1))
    image.SetPixelFormat(
        gdcm.PixelFormat(picture.samples, picture.allocated, picture.stored, picture.stored - 1, int(picture.signed))
    )
    kind = gdcm.PhotometricInterpretation.GetPIType(photometric)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    image.SetTransferSyntax(gdcm.TransferSyntax(syntax))


def _jpeg_lossless(picture: Picture, photometric: str, array: NDArray[Any]) -> bytes:
    """Process 14 with first-order prediction (PS3.5 section A.4.1), which pydicom has no encoder for, by GDCM."""
    writer = gdcm.ImageWriter()  # the image belongs to it: one of our own would be freed twice
    image = writer.GetImage()
    _describe(image, picture, photometric, gdcm.TransferSyntax.ExplicitVRLittleEndian)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetByteStringValue(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())
    image.SetDataElement(element)
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(image)
    if not change.Change():
        raise Undecodable
    output = change.GetOutput()  # each of these holds what the next one points into
    value = output.GetDataElement()
    fragments = value.GetSequenceOfFragments()
    if fragments.GetNumberOfFragments() != 1:
        raise Undecodable
    fragment = fragments.GetFragment(0)
    stored = fragment.GetByteValue()
    encoded: bytes = stored.GetBuffer().encode("utf-8", "surrogateescape")
    return encoded


def _to_native(picture: Picture, photometric: str, array: NDArray[Any]) -> bytes:
    array = array.astype(_dtype(picture))
    if photometric == "YBR_FULL_422":
        pairs = array.reshape(picture.rows, picture.columns // 2, 2, 3)
        one, other = pairs[:, :, 0], pairs[:, :, 1]
        return np.stack([one[..., 0], other[..., 0], one[..., 1], one[..., 2]], axis=-1).tobytes()
    if picture.samples > 1 and picture.planar and not is_encapsulated(picture.syntax):
        return array.transpose(2, 0, 1).tobytes()
    return array.tobytes()
