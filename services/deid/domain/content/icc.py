"""ICC profiles with their numbers and without their words (ICC.1:2022; PS3.3 section C.11.15).

The numbers decide how colours look and stay. Names, copyrights, devices, creators and times are left out, and so is
every tag whose type could hold text. What stays is made anew of its numbers (icc_tags.py), each tag behind the other.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from services.deid.domain.content.icc_tags import numbers_of
from services.deid.domain.dataset import Unreadable

ICC_PROFILE = 0x00282000
_HEADER, _TAG = 128, struct.Struct(">4sII")
#: A profile with more tags, or longer, is none that a camera or a scanner makes.
_TAG_LIMIT, _SIZE_LIMIT = 64, 4 * 1024 * 1024
#: Tags that colours are computed with (ICC.1 clause 9.2).
_NUMERIC_TAGS = frozenset(b"rXYZ gXYZ bXYZ rTRC gTRC bTRC kTRC wtpt bkpt chad A2B0 A2B1 A2B2 B2A0 B2A1 B2A2".split())
#: What a profile of pictures may be, of which colours, and connected by which (Tables 18 and 19).
_VERSIONS, _CLASSES = frozenset({2, 4}), frozenset({b"scnr", b"mntr", b"prtr", b"spac"})
_COLOURS = frozenset({b"RGB ", b"GRAY", b"CMYK", b"YCbr", b"Lab ", b"XYZ "})
_CONNECTIONS = frozenset({b"XYZ ", b"Lab "})
#: The white that all profiles are adapted to (clause 7.2.16).
_D50 = struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)
_INTENTS = 4
#: The start of a header: version 2.2, of a display's RGB.
_STANDARD = b"".join([bytes(8), b"\2\x20\0\0", b"mntrRGB XYZ "]).ljust(_HEADER, b"\0")


class _Profile(NamedTuple):
    header: bytes
    tags: dict[bytes, bytes]


def clean_profile(value: bytes) -> bytes | None:
    """The profile without words, None when it is not one that can be followed byte by byte."""
    try:
        found = _read(value)
    except (struct.error, Unreadable, KeyError, ValueError, OverflowError):
        return None
    return _write(found)


def _read(value: bytes) -> _Profile:
    (size, count) = (*struct.unpack_from(">I", value), *struct.unpack_from(">I", value, _HEADER))
    if value[36:40] != b"acsp" or not _HEADER < size <= min(len(value), _SIZE_LIMIT) or count > _TAG_LIMIT:
        raise Unreadable
    tags: dict[bytes, bytes] = {}
    for number in range(count):
        name, start, length = _TAG.unpack_from(value, _HEADER + 4 + number * _TAG.size)
        if name in _NUMERIC_TAGS:
            tags[name] = numbers_of(value[start : start + length])
    if not (tags.keys() >= {b"rXYZ", b"gXYZ", b"bXYZ"} or b"A2B0" in tags or b"kTRC" in tags):
        raise Unreadable
    return _Profile(_header(value), tags)


def _header(value: bytes) -> bytes:
    """The header with nothing of a place, a time or a maker (clause 7.2). Raises Unreadable for another profile."""
    version, minor, kind, colours, connection = struct.unpack_from(">BBxx4s4s4s", value, 8)
    if version not in _VERSIONS or kind not in _CLASSES or colours not in _COLOURS or connection not in _CONNECTIONS:
        raise Unreadable
    (intent,) = struct.unpack_from(">I", value, 64)
    header = bytearray(_HEADER)
    struct.pack_into(">BBxx4s4s4s", header, 8, version, minor & 0xF0, kind, colours, connection)
    header[36:40] = b"acsp"
    struct.pack_into(">I", header, 64, intent if intent < _INTENTS else 0)
    header[68:80] = _D50
    return bytes(header)


def _write(profile: _Profile) -> bytes:
    """A profile of these tags and the two texts that every one must have."""
    tags = profile.tags | {b"desc": _text(profile.header, b"desc"), b"cprt": _text(profile.header, b"text")}
    start = _HEADER + 4 + len(tags) * _TAG.size
    table, body, places = bytearray(struct.pack(">I", len(tags))), bytearray(), dict[bytes, int]()
    for name, data in sorted(tags.items()):
        if data not in places:
            places[data] = start + len(body)
            body += data + bytes(-len(data) % 4)
        table += _TAG.pack(name, places[data], len(data))
    header = struct.pack(">I", start + len(body)) + profile.header[4:]
    return bytes(header + table + body)


def _text(header: bytes, kind: bytes) -> bytes:
    """A text that says nothing: multi-localized from version 4 on, before that of two types."""
    if header[8] >= 4:
        words = "Removed".encode("utf-16-be")
        return b"mluc" + struct.pack(">IIIHHII", 0, 1, 12, 0x656E, 0x5553, len(words), 28) + words
    if kind == b"text":
        return b"text\0\0\0\0Removed\0"
    return b"desc\0\0\0\0" + struct.pack(">I", 8) + b"Removed\0" + bytes(4 + 4 + 2 + 1 + 67)


def _standard_tags() -> Iterator[tuple[bytes, bytes]]:
    """Primaries, white and gamma of sRGB (IEC 61966-2-1), adapted to D50."""
    numbers = {
        b"rXYZ": (0.43607, 0.22249, 0.01392),
        b"gXYZ": (0.38515, 0.71687, 0.09708),
        b"bXYZ": (0.14307, 0.06061, 0.71410),
        b"wtpt": (0.96420, 1.0, 0.82491),
    }
    for name, values in numbers.items():
        yield name, b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        yield name, b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256))


#: What takes the place of a profile that can't be followed where one must be.
STANDARD_PROFILE = _write(_Profile(_header(_STANDARD), dict(_standard_tags())))
