"""Deflated data sets (PS3.5 section A.5: RFC 1951 without a wrapper), inflated piece by piece and not kept whole."""

import zlib
from collections.abc import Callable
from typing import NamedTuple

from services.dicom_ingest.domain.bounds import USUAL, Bounds
from services.dicom_ingest.domain.window import Malformed, Window

#: So much of its beginning is kept to be read, bytes; of what is behind, only the length is known.
KEPT = 8 * 1024 * 1024
_PIECE = 256 * 1024


class Inflated(NamedTuple):
    """``window`` is as long as what was inflated; ``is_whole`` when that is all, ``is_kept`` when all can be read."""

    window: Window
    is_whole: bool
    is_kept: bool


def inflate(load: Callable[[int, int], bytes], size: int, bounds: Bounds = USUAL) -> Inflated:
    """As much as the bounds allow of ``size`` bytes that ``load(offset, count)`` gives; Malformed when it is broken."""
    stream, kept, length = zlib.decompressobj(-zlib.MAX_WBITS), bytearray(), 0
    limit = min(bounds.inflated, bounds.ratio * size + 4096)
    at, deflated = 0, b""
    while not stream.eof and length < limit:
        if not deflated:
            deflated = load(at, min(_PIECE, size - at))
            at += len(deflated)
            if not deflated:
                raise Malformed("data-set-cut-short")
        try:
            plain = stream.decompress(deflated, min(_PIECE, limit - length))
        except zlib.error:
            raise Malformed("bad-deflate") from None
        deflated = stream.unconsumed_tail
        kept += plain[: KEPT - len(kept)]
        length += len(plain)
    window = Window(lambda offset, count: bytes(kept[offset : offset + count]), length)
    return Inflated(window, stream.eof, length == len(kept))
