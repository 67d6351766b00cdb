"""What a compressed frame holds beside its pixels: comments and application segments, which are cut out.

The pixels' own bytes stay. JPEG XL and video are other containers: nothing is known of them here, so nothing is said
for them.
"""

import struct

from services.deid.domain.content.jpeg import SOI, clean_jpeg
from services.deid.domain.content.jpeg2000 import JP2, SOC, clean_jp2, clean_jpeg2000
from services.deid.domain.dataset import Unreadable
from services.deid.domain.withholding import Reason, Withheld

#: Transfer syntaxes of Part 5 annex A whose frames are looked into: JPEG, JPEG-LS, JPEG 2000, HTJ2K.
EXAMINED = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203))
#: Run lengths of native pixels have no room for text.
RLE = "1.2.840.10008.1.2.5"


def starts_frame(head: bytes) -> bool:
    """True when a fragment begins a JPEG, JPEG-LS or JPEG 2000 code stream, or a file around one."""
    return head.startswith((SOI, SOC, JP2))


def clean_frame(frame: bytes) -> bytes:
    """The same frame without text: ``frame`` itself when there was none. Raises Withheld when it can't be told."""
    try:
        if frame.startswith(SOI):
            return clean_jpeg(frame)
        if frame.startswith(SOC):
            return clean_jpeg2000(frame)
        if frame.startswith(JP2):
            return clean_jp2(frame)
    except (struct.error, IndexError, Unreadable):
        raise Withheld(Reason.CODE_STREAM_TEXT) from None
    raise Withheld(Reason.CODE_STREAM_TEXT)
