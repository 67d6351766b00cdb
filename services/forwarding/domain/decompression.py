"""A data set that was compressed without loss, as Explicit VR Little Endian (PS3.5 sections A.2, A.4 and A.5).

Everything but Pixel Data stays as it was, byte for byte. What may differ beside it: Photometric Interpretation where
the codec undoes a reversible colour transform, Planar Configuration, and the offset tables, which only compressed
frames have. Decoding is left to codecs that are kept for it: pydicom's and GDCM's.
"""

import zlib
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

from pydicom import Dataset
from pydicom.encaps import generate_frames
from pydicom.filereader import read_dataset
from pydicom.pixels import get_decoder
from pydicom.pixels.utils import get_j2k_parameters
from pydicom.tag import BaseTag

from services.forwarding.domain.syntaxes import DEFLATED, JPEG_2000, PLUGINS

_PIXEL_DATA, _PHOTOMETRIC, _PLANAR = 0x7FE00010, 0x00280004, 0x00280006
#: Group length, and the offset tables of compressed frames (PS3.3 section C.7.6.3).
_OF_COMPRESSED = (0x7FE00000, 0x7FE00001, 0x7FE00002)
_PIXEL_TAG = b"\xe0\x7f\x10\x00"
_ITEM, _DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_UNDEFINED = b"\xff\xff\xff\xff"
#: The longest value that native Pixel Data can have, in bytes (PS3.5 section 7.1.1).
_LONGEST = 2**32 - 2
_CHUNK = 1024 * 1024
_OPTIONS = {
    "rows": "Rows",
    "columns": "Columns",
    "samples_per_pixel": "SamplesPerPixel",
    "bits_allocated": "BitsAllocated",
    "bits_stored": "BitsStored",
    "pixel_representation": "PixelRepresentation",
    "photometric_interpretation": "PhotometricInterpretation",
}


class NotDecodable(ValueError):
    """A data set is not what its transfer syntax and its header say, or more than can be written uncompressed."""


def decompressed(data: bytes, syntax: str) -> Iterator[bytes]:
    """The data set ``data`` of the lossless ``syntax`` in pieces; NotDecodable, and whatever a codec raises.

    Nothing is given before the first frame was decoded.
    """
    if syntax == DEFLATED:
        return _inflated(data)
    return _decoded(data, syntax)


def _inflated(data: bytes) -> Iterator[bytes]:
    """PS3.5 section A.5: a raw deflate stream (RFC 1951), perhaps with a byte of padding behind it."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    rest = data
    while not stream.eof:
        piece = stream.decompress(rest, _CHUNK)
        rest = stream.unconsumed_tail
        if not piece and not rest and not stream.eof:
            raise NotDecodable
        if piece:
            yield piece


def _decoded(data: bytes, syntax: str) -> Iterator[bytes]:
    """PS3.5 section A.4: what stands before the fragments, the frames, what stands behind them."""
    source = BytesIO(data)
    header = read_dataset(source, is_implicit_VR=False, is_little_endian=True, stop_when=_is_pixel_data)
    at = source.tell()
    if data[at : at + 4] != _PIXEL_TAG:
        yield data  # there is nothing that could be compressed
        return
    vr, length = data[at + 4 : at + 6], data[at + 8 : at + 12]
    if vr not in (b"OB", b"OW") or length != _UNDEFINED or any(map(_is_compressed, _nested(header))):
        raise NotDecodable
    edges, end = _edges(header), _end(data, at + 12)
    options = _options(header)
    total = _total(options)
    source.seek(at + 12)
    for number, (frame, told) in enumerate(_frames(source, syntax, options)):
        if number == 0:
            yield from _edited(data[:at], edges, told)
            yield _pixel_data(options["bits_allocated"], total)
        yield frame
    yield bytes(total % 2) + data[end:]


def _is_pixel_data(tag: BaseTag, _: str | None, __: int) -> bool:
    return tag >= _PIXEL_DATA


def _options(header: Dataset) -> dict[str, Any]:
    """What a codec must know (PS3.3 section C.7.6.3)."""
    options = {name: header[keyword].value for name, keyword in _OPTIONS.items()}
    options["number_of_frames"] = int(header.get("NumberOfFrames") or 1)
    if options["samples_per_pixel"] > 1:
        options["planar_configuration"] = header["PlanarConfiguration"].value
    if options["bits_allocated"] not in (8, 16, 32):
        raise NotDecodable
    if "ExtendedOffsetTable" in header:
        options["extended_offsets"] = (header.ExtendedOffsetTable, header.ExtendedOffsetTableLengths)
    return {**options, "pixel_keyword": "PixelData"}


def _frame_size(options: Mapping[str, Any]) -> int:
    samples = options["rows"] * options["columns"] * options["samples_per_pixel"]
    return int(samples * options["bits_allocated"] // 8)


def _total(options: Mapping[str, Any]) -> int:
    total = _frame_size(options) * int(options["number_of_frames"])
    if not 0 < total <= _LONGEST:
        raise NotDecodable
    return total


def _frames(source: BytesIO, syntax: str, options: dict[str, Any]) -> Iterator[tuple[bytes, Mapping[str, Any]]]:
    """As many frames as the header says, each with the properties that it has now."""
    if syntax == JPEG_2000:
        _check_sign(source, options)
    count = 0
    for frame, told in get_decoder(syntax).iter_buffer(source, decoding_plugin=PLUGINS[syntax], **options):
        count += 1
        if count <= options["number_of_frames"]:
            yield _fitted(bytes(frame), told, options), told
    if count != options["number_of_frames"]:
        raise NotDecodable


def _check_sign(source: BytesIO, options: Mapping[str, Any]) -> None:
    """A codestream that disagrees with the header on sign and precision has no one meaning."""
    at = source.tell()
    first = next(generate_frames(source, number_of_frames=options["number_of_frames"]))
    source.seek(at)
    found = get_j2k_parameters(first)
    is_signed = bool(options["pixel_representation"])
    if found.get("is_signed") != is_signed and found.get("precision") != options["bits_stored"]:
        raise NotDecodable


def _fitted(frame: bytes, told: Mapping[str, Any], options: Mapping[str, Any]) -> bytes:
    """A frame in the cells that the header allocates: codecs give small samples in small cells."""
    wanted, given = options["bits_allocated"], told["bits_allocated"]
    if (wanted, given) == (16, 8) and options["bits_stored"] <= 8:
        wide = bytearray(2 * len(frame))
        wide[::2] = frame
        frame = bytes(wide)
    elif wanted != given:
        raise NotDecodable
    if len(frame) != _frame_size(options):
        raise NotDecodable
    return frame


def _edges(header: Dataset) -> list[tuple[int, int, int]]:
    """Tag, begin of its value and end of what may be written anew, in order; offsets within the data set."""
    found = []
    for tag in (_PHOTOMETRIC, _PLANAR, *_OF_COMPRESSED):
        if tag in header:
            raw: Any = header.get_item(tag)
            found.append((tag, raw.value_tell, raw.value_tell + raw.length))
    return found


def _edited(head: bytes, edges: list[tuple[int, int, int]], told: Mapping[str, Any]) -> Iterator[bytes]:
    """What stands before Pixel Data; values keep their lengths, so that lengths of groups stay right."""
    at = 0
    for tag, begin, end in edges:
        if tag == _PHOTOMETRIC:
            yield head[at:begin] + _photometric(head[begin:end], told["photometric_interpretation"])
        elif tag == _PLANAR:
            planar = told.get("planar_configuration")
            yield head[at:begin] + (head[begin:end] if planar is None else planar.to_bytes(2, "little"))
        else:
            yield head[at : begin - (8 if tag == _OF_COMPRESSED[0] else 12)]
        at = end
    yield head[at:]


def _photometric(old: bytes, new: str) -> bytes:
    is_same = old.decode("ascii").strip(" \0") == new
    return old if is_same else new.encode().ljust(len(old))


def _pixel_data(bits_allocated: int, total: int) -> bytes:
    """The head of a native Pixel Data element (PS3.5 section A.2)."""
    vr = b"OB" if bits_allocated <= 8 else b"OW"
    return _PIXEL_TAG + vr + bytes(2) + (total + total % 2).to_bytes(4, "little")


def _end(data: bytes, at: int) -> int:
    """The offset behind the delimiter of fragments that begin at ``at`` (PS3.5 section A.4)."""
    while data[at : at + 4] == _ITEM:
        at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
    if data[at : at + 4] != _DELIMITER or len(data) < at + 8:
        raise NotDecodable
    return at + 8


def _nested(dataset: Dataset) -> Iterator[Dataset]:
    """Every item of every sequence."""
    for tag in list(dataset.keys()):
        if getattr(dataset.get_item(tag), "VR", None) == "SQ":
            for item in dataset[tag].value:
                yield item
                yield from _nested(item)


def _is_compressed(item: Dataset) -> bool:
    """Whether an item, such as an icon, has fragments of its own."""
    return _PIXEL_DATA in item and bool(item[_PIXEL_DATA].is_undefined_length)
