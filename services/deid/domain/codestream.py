"""Text inside compressed frames: comments and application segments that no header shows.

JPEG and JPEG-LS markers: ITU-T T.81 annex B, T.87 annex C. JPEG 2000: T.800 annexes A and I. JPEG XL and video are
other containers: nothing is known of them here, so nothing is said for them.
"""

import re
import struct

#: So much of a frame is looked at; a main header that does not end within it counts as text.
HEAD_LIMIT = 256 * 1024

_SOI, _SOC = b"\xff\xd8", b"\xff\x4f\xff\x51"
_COMMENT, _SCAN = 0xFE, 0xDA
#: APP0 (JFIF) and APP14 (Adobe) decide how colours are read, and hold numbers only when they have these sizes.
_COLOUR_SEGMENTS = {0xE0: (b"JFIF\0", 16), 0xEE: (b"Adobe", 14)}
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_J2K_COMMENT, _J2K_TILE = 0xFF64, 0xFF90
#: What encoders write of themselves.
_ENCODER = re.compile(
    rb"(Created by (GDCM/)?OpenJPEG version [\d.]+|(Creator: )?JasPer Version [\d.]+|OpenJPH Ver [\d.]+|"
    rb"Kakadu-v?[\d.]+|CharLS [\d.]+)[\0 ]?"
)


#: Transfer syntaxes of Part 5 annex A whose frames are looked into: JPEG, JPEG-LS, JPEG 2000, HTJ2K.
EXAMINED = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203))
#: Run lengths of native pixels have no room for text.
RLE = "1.2.840.10008.1.2.5"

_JP2_BOX = b"\0\0\0\x0cjP  "


def starts_frame(head: bytes) -> bool:
    """True when a fragment begins a JPEG, JPEG-LS or JPEG 2000 code stream, or a file around one."""
    return head.startswith((_SOI, _SOC, _JP2_BOX))


def carries_text(head: bytes) -> bool:
    """True when the main header of a frame that begins with ``head`` holds text, or can't be read to its end."""
    if head.startswith(_JP2_BOX):
        return True
    try:
        return _jpeg(head) if head.startswith(_SOI) else _jpeg2000(head)
    except (struct.error, IndexError):
        return True


def _jpeg(head: bytes) -> bool:
    at = 2
    while True:
        if head[at] != 0xFF:
            return True
        marker = head[at + 1]
        if marker == 0xFF or marker in _STANDALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker == _SCAN:
            return False
        (length,) = struct.unpack_from(">H", head, at + 2)
        if _tells(marker, head[at + 4 : at + 2 + length], length):
            return True
        at += 2 + length


def _tells(marker: int, value: bytes, length: int) -> bool:
    if marker in _COLOUR_SEGMENTS:
        name, size = _COLOUR_SEGMENTS[marker]
        return not (value.startswith(name) and length == size)
    if marker == _COMMENT:
        return _ENCODER.fullmatch(value) is None
    return 0xE0 <= marker <= 0xEF


def _jpeg2000(head: bytes) -> bool:
    at = 2
    while True:
        marker, length = struct.unpack_from(">HH", head, at)
        if marker == _J2K_TILE:
            return False
        if marker == _J2K_COMMENT and _ENCODER.fullmatch(head[at + 6 : at + 2 + length]) is None:
            return True
        at += 2 + length
