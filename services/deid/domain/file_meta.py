"""File Meta Information of our own (PS3.10 section 7.1)."""

import struct
from functools import lru_cache

from services.deid.domain.dataset import EXPLICIT_LITTLE, Element, encode

#: A fixed UID of this software (PS3.7 annex D.3.3.2), and its name.
IMPLEMENTATION_UID, IMPLEMENTATION_NAME = "2.25.270695996825855179949881587723571202391", "CAUSEWAY_1"


def file_meta(sop_class: str, sop_instance: str, transfer_syntax: str) -> bytes:
    """A preamble of zeros and File Meta Information of our own (PS3.10 section 7.1)."""
    before, behind = _meta_around(sop_class, transfer_syntax)
    meta = before + encode([Element(0x00020003, "UI", sop_instance.encode())], EXPLICIT_LITTLE) + behind
    length = encode([Element(0x00020000, "UL", struct.pack("<I", len(meta)))], EXPLICIT_LITTLE)
    return bytes(128) + b"DICM" + length + meta


@lru_cache(64)
def _meta_around(sop_class: str, transfer_syntax: str) -> tuple[bytes, bytes]:
    """What stands before and behind the SOP Instance UID in it."""
    before = [Element(0x00020001, "OB", b"\0\1"), Element(0x00020002, "UI", sop_class.encode())]
    behind = [
        Element(0x00020010, "UI", transfer_syntax.encode()),
        Element(0x00020012, "UI", IMPLEMENTATION_UID.encode()),
        Element(0x00020013, "SH", IMPLEMENTATION_NAME.encode()),
    ]
    return encode(before, EXPLICIT_LITTLE), encode(behind, EXPLICIT_LITTLE)
