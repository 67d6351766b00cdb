"""ICC profiles with their numbers and without their words (ICC.1:2022; PS3.3 section C.11.15).

The numbers decide how colours look and stay. Names, copyrights, devices, creators and times are left out, and so is
every tag whose type could hold text.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from services.deid.domain.dataset import Unreadable

ICC_PROFILE = 0x00282000
_HEADER, _TAG = 128, struct.Struct(">4sII")
#: A profile with more tags, or longer, is none that a camera or a scanner makes.
_TAG_LIMIT, _SIZE_LIMIT = 64, 4 * 1024 * 1024
#: Tags that colours are computed with (ICC.1 clause 9.2).
_NUMERIC_TAGS = frozenset(
    b"rXYZ gXYZ bXYZ rTRC gTRC bTRC kTRC wtpt bkpt lumi chad A2B0 A2B1 A2B2 B2A0 B2A1 B2A2 gamt".split()
)
#: Bytes of the header that say nothing of a place or a time: version to connection space, signature; and the intent.
_KEPT = (slice(8, 24), slice(36, 40), slice(64, 80))
_PARAMETERS = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}


class _Profile(NamedTuple):
    header: bytes
    tags: dict[bytes, bytes]


def clean_profile(value: bytes) -> bytes | None:
    """The profile without words, None when it is not one that can be followed byte by byte."""
    try:
        found = _read(value)
    except (struct.error, Unreadable, KeyError, OverflowError):
        return None
    return _write(found)


def _read(value: bytes) -> _Profile:
    (size, count) = (*struct.unpack_from(">I", value), *struct.unpack_from(">I", value, _HEADER))
    if value[36:40] != b"acsp" or not _HEADER < size <= min(len(value), _SIZE_LIMIT) or count > _TAG_LIMIT:
        raise Unreadable
    tags: dict[bytes, bytes] = {}
    for number in range(count):
        name, start, length = _TAG.unpack_from(value, _HEADER + 4 + number * _TAG.size)
        data = value[start : start + length]
        if name in _NUMERIC_TAGS:
            tags[name] = data[: _length(data)]
    if not (tags.keys() >= {b"rXYZ", b"gXYZ", b"bXYZ"} or b"A2B0" in tags or b"kTRC" in tags):
        raise Unreadable
    header = bytearray(_HEADER)
    for part in _KEPT:
        header[part] = value[part]
    return _Profile(bytes(header), tags)


def _length(data: bytes) -> int:
    """How long a tag of this type is, all of it numbers. Raises Unreadable for any other type or a shorter tag."""
    kind, length = data[:4], len(data)
    if kind == b"XYZ ":
        length = 20
    elif kind == b"sf32":
        length = 8 + 36
    elif kind == b"curv":
        length = 12 + 2 * int(struct.unpack_from(">I", data, 8)[0])
    elif kind == b"para":
        length = 12 + 4 * _PARAMETERS[struct.unpack_from(">H", data, 8)[0]]
    elif kind in (b"mft1", b"mft2"):
        length = _table_length(data)
    else:
        raise Unreadable
    if len(data) < length:
        raise Unreadable
    return length


def _table_length(data: bytes) -> int:
    """Lookup tables of one or two bytes per value (ICC.1 clauses 10.10 and 10.11)."""
    inputs, outputs, grid = data[8:11]
    if data[:4] == b"mft1":
        return int(48 + 256 * inputs + grid**inputs * outputs + 256 * outputs)
    entries, exits = struct.unpack_from(">HH", data, 48)
    return int(52 + 2 * (entries * inputs + grid**inputs * outputs + exits * outputs))


def _write(profile: _Profile) -> bytes:
    """A profile of these tags and the two texts that every one must have."""
    tags = profile.tags | {b"desc": _text(profile.header, b"desc"), b"cprt": _text(profile.header, b"text")}
    start = _HEADER + 4 + len(tags) * _TAG.size
    table, body = bytearray(struct.pack(">I", len(tags))), bytearray()
    for name, data in sorted(tags.items()):
        table += _TAG.pack(name, start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
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


def _standard_header() -> bytes:
    header = bytearray(_HEADER)
    header[8:24] = b"\2\x20\0\0mntrRGB XYZ "
    header[36:40] = b"acsp"
    header[68:80] = struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)
    return bytes(header)


#: What takes the place of a profile that can't be followed where one must be.
STANDARD_PROFILE = _write(_Profile(_standard_header(), dict(_standard_tags())))
