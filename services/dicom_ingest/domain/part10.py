"""What stands before a received data set to make it a DICOM file (PS3.10 section 7.1)."""

import struct
from functools import lru_cache

IMPLEMENTATION_CLASS_UID = "2.25.270695996825855179949881587723571202391"
IMPLEMENTATION_VERSION = "CAUSEWAY_1"


def _element(element: int, vr: bytes, value: bytes, padding: bytes = b"\0") -> bytes:
    padded = value + padding * (len(value) % 2)
    return struct.pack("<HH2sH", 0x0002, element, vr, len(padded)) + padded


@lru_cache(maxsize=256)
def file_header(sop_class: str, sop_instance: str, transfer_syntax: str) -> bytes:
    """Preamble, prefix and File Meta Information: a pure function of the three, without source or time."""
    meta = (
        struct.pack("<HH2sHI", 0x0002, 0x0001, b"OB", 0, 2)
        + b"\0\x01"
        + _element(0x0002, b"UI", sop_class.encode())
        + _element(0x0003, b"UI", sop_instance.encode())
        + _element(0x0010, b"UI", transfer_syntax.encode())
        + _element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID.encode())
        + _element(0x0013, b"SH", IMPLEMENTATION_VERSION.encode(), b" ")
    )
    return bytes(128) + b"DICM" + _element(0x0000, b"UL", struct.pack("<I", len(meta))) + meta
