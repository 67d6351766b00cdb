"""Deflated data sets (PS3.5 section A.5): inflated whole to be cleaned, and deflated again."""

import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from contracts.formats.manifest import Instance
from services.deid.domain.content.overlay_bits import Mask
from services.deid.domain.dataset import EXPLICIT_LITTLE, LONG, PIXEL_DATA, Element, Elements, Unreadable, encode
from services.deid.domain.pixels import CHUNK, Output
from services.deid.domain.reading import parse
from services.deid.domain.withholding import Reason, Withheld

DEFLATED = frozenset({"1.2.840.10008.1.2.1.99"})
#: A longer data set is not inflated; bytes.
INFLATED_LIMIT = 32 * 1024 * 1024


def inflated(source: BinaryIO, original: Instance) -> tuple[Elements, Element | None]:
    """Header and pixels of a deflated data set (PS3.5 section A.5), which is inflated whole."""
    elements = parse(_inflate(source, original), EXPLICIT_LITTLE)
    pixels = next((element for element in elements if element.tag in PIXEL_DATA), None)
    return tuple(element for element in elements if element.tag not in PIXEL_DATA), pixels


def _inflate(source: BinaryIO, original: Instance) -> bytes:
    if original.length - original.dataset_offset > INFLATED_LIMIT:
        raise Withheld(Reason.TOO_LARGE)
    source.seek(original.dataset_offset)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(source.read(original.length - original.dataset_offset), INFLATED_LIMIT)
    except zlib.error:
        raise Unreadable from None
    if inflater.unconsumed_tail:
        raise Withheld(Reason.TOO_LARGE)
    return data


def deflate(data: bytes, pixels: Element | None, mask: Mask | None, output: Output) -> dict[str, Any]:
    """Write the data set deflated, a piece at a time; all of it is its header then (docs/formats.md section 2)."""
    deflater = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    for piece in (data, *_pieces(pixels, mask)):
        output.data(deflater.compress(piece))
    output.data(deflater.flush())
    if (output.length - output.dataset_offset) % 2:
        output.data(b"\0")
    return header_so_far(output)


def header_so_far(output: Output) -> dict[str, Any]:
    """The facts of a header that is the data set as far as it is written."""
    digest = output.facts()["dataset_sha256"]
    return {"header_length": output.length - output.dataset_offset, "header_sha256": digest}


def _pieces(pixels: Element | None, mask: Mask | None) -> Iterator[bytes]:
    """The pixel element as encoded, without another copy of its value."""
    if pixels is None:
        return
    padding = len(pixels.value) % 2
    form = "<I" if pixels.vr in LONG else "<H"
    empty = encode([pixels._replace(value=b"")], EXPLICIT_LITTLE)
    yield empty[: -struct.calcsize(form)] + struct.pack(form, len(pixels.value) + padding)
    for start in range(0, len(pixels.value), CHUNK):
        piece = pixels.value[start : start + CHUNK]
        yield mask.clear(piece) if mask else piece
    yield b"\0" * padding
