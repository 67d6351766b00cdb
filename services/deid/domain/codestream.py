"""What a compressed frame holds beside its pixels: comments and application segments, which are cut out.

The pixels' own bytes stay. JPEG XL, deflated frames and video are other containers: nothing is known of them here, so
nothing is said for them.
"""

import struct
from collections.abc import Callable
from functools import partial

from services.deid.domain.content.jpeg import SOI, clean_jpeg
from services.deid.domain.content.jpeg2000 import JP2, SOC, clean_jp2, clean_jpeg2000
from services.deid.domain.content.overlay_bits import Mask
from services.deid.domain.content.rle import clean_rle
from services.deid.domain.content.samples import Samples
from services.deid.domain.dataset import Unreadable
from services.deid.domain.withholding import Reason, Withheld

#: Transfer syntaxes of Part 5 annex A whose frames are looked into: JPEG, JPEG-LS, JPEG 2000, HTJ2K.
EXAMINED = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203))
#: Runs of native pixels, which have to be as many as the header says.
RLE = "1.2.840.10008.1.2.5"

#: Their decoder is strict, and ours is slow.
JPEG_LS = frozenset({"1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"})

#: True when it is known that a frame of JPEG-LS has no byte behind its last sample.
Proof = Callable[[bytes], bool]
#: Gives a frame without what is no part of its picture, the frame itself when there is no such thing.
CleanFrame = Callable[[bytes], bytes]


def starts_frame(head: bytes) -> bool:
    """True when a fragment begins a JPEG, JPEG-LS or JPEG 2000 code stream, or a file around one."""
    return head.startswith((SOI, SOC, JP2))


def cleaner_of(
    transfer_syntax: str, samples: Samples | None, mask: Mask | None = None, proof: Proof | None = None
) -> CleanFrame:
    """What cleans the frames of a transfer syntax, of such ``samples``. Raises Withheld when nobody can.

    ``mask`` is what to leave of each sample in runs; with ``proof`` of it, frames of JPEG-LS are not decoded here.
    """
    if transfer_syntax in JPEG_LS and proof is not None:
        return partial(_clean_proven, proof=proof)
    if transfer_syntax in EXAMINED:
        return clean_frame
    if transfer_syntax != RLE:
        raise Withheld(Reason.UNKNOWN_COMPRESSION)
    if samples is None:
        raise Withheld(Reason.CODE_STREAM_TEXT)
    return partial(_clean, partial(clean_rle, samples=samples, mask=mask))


def clean_frame(frame: bytes) -> bytes:
    """The same frame without text: ``frame`` itself when there was none. Raises Withheld when it can't be told."""
    if frame.startswith(SOI):
        return _clean(clean_jpeg, frame)
    if frame.startswith(SOC):
        return _clean(clean_jpeg2000, frame)
    if frame.startswith(JP2):
        return _clean(clean_jp2, frame)
    raise Withheld(Reason.CODE_STREAM_TEXT)


def _clean_proven(frame: bytes, proof: Proof) -> bytes:
    """The frame without text, whose data are followed to their end only when there is no proof of it."""
    if not frame.startswith(SOI):
        raise Withheld(Reason.CODE_STREAM_TEXT)
    cleaned = _clean(partial(clean_jpeg, decodes=False), frame)
    return cleaned if proof(cleaned) else clean_frame(frame)


def _clean(clean: CleanFrame, frame: bytes) -> bytes:
    try:
        return clean(frame)
    except (struct.error, IndexError, Unreadable):
        raise Withheld(Reason.CODE_STREAM_TEXT) from None
