"""The records of a stored ZIP archive (PKWARE APPNOTE 6.3 sections 4.3.7 to 4.3.16), zip64 only where it is needed.

Nothing here depends on a clock, a platform or a compressor, so equal inputs give equal archives. Sizes are bytes.
"""

import struct

#: Every entry is as old as ZIP itself: 1980-01-01 00:00 in MS-DOS form (APPNOTE 4.4.6).
_DATE, _TIME = (0 << 9) | (1 << 5) | 1, 0
_STORED, _FLAGS = 0, 0
#: APPNOTE 4.4.3: 2.0 for plain entries, 4.5 for zip64.
_PLAIN, _ZIP64 = 20, 45
#: APPNOTE 4.4.2 and 4.4.15: made on Unix, a regular file of mode 0644.
_UNIX, _REGULAR_FILE = 3 << 8, 0o100644 << 16

_FULL32, _FULL16 = 0xFFFFFFFF, 0xFFFF
_NAME_LENGTH = len("000001.dcm")
_LOCAL = struct.Struct("<4sHHHHHLLLHH")
_CENTRAL = struct.Struct("<4sHHHHHHLLLHHHHHLL")
_END64 = struct.Struct("<4sQHHLLQQQQ")
_LOCATOR64 = struct.Struct("<4sLQL")
_END = struct.Struct("<4sHHHHLLH")
_LOCAL_EXTRA = struct.Struct("<HHQQ")


def local_header_size(length: int) -> int:
    """How many bytes stand before the data of an entry of ``length`` bytes: 40, or 60 with zip64."""
    return _LOCAL.size + _NAME_LENGTH + (_LOCAL_EXTRA.size if length >= _FULL32 else 0)


def local_header(entry: str, length: int, crc32: int) -> bytes:
    """The record before an entry's data; it tells size and CRC, so no data descriptor follows (APPNOTE 4.3.7)."""
    name = entry.encode("ascii")
    big = length >= _FULL32
    extra = _LOCAL_EXTRA.pack(1, 16, length, length) if big else b""
    told = _FULL32 if big else length
    version = _ZIP64 if big else _PLAIN
    fixed = (b"PK\x03\x04", version, _FLAGS, _STORED, _TIME, _DATE, crc32, told, told, len(name), len(extra))
    return _LOCAL.pack(*fixed) + name + extra


def _central_extra(length: int, position: int) -> bytes:
    """Only the fields that do not fit into 32 bits, in their fixed order (APPNOTE 4.5.3)."""
    wide = ([length, length] if length >= _FULL32 else []) + ([position] if position >= _FULL32 else [])
    return struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""


def central_record(entry: str, length: int, crc32: int, position: int) -> bytes:
    """An entry in the central directory; ``position`` is where its local header begins (APPNOTE 4.3.12)."""
    name = entry.encode("ascii")
    extra = _central_extra(length, position)
    version = _ZIP64 if extra else _PLAIN
    told, where = min(length, _FULL32), min(position, _FULL32)
    fixed = (b"PK\x01\x02", _UNIX | version, version, _FLAGS, _STORED, _TIME, _DATE, crc32, told, told)
    return _CENTRAL.pack(*fixed, len(name), len(extra), 0, 0, 0, _REGULAR_FILE, where) + name + extra


def central_record_size(length: int, position: int) -> int:
    """The size of ``central_record`` for such an entry."""
    return _CENTRAL.size + _NAME_LENGTH + len(_central_extra(length, position))


def _is_wide(count: int, size: int, position: int) -> bool:
    return count >= _FULL16 or size >= _FULL32 or position >= _FULL32


def end_records(count: int, size: int, position: int) -> bytes:
    """What closes the archive: a central directory of ``count`` records, ``size`` bytes, beginning at ``position``.

    With zip64 end record and locator where a number does not fit (APPNOTE 4.3.14 to 4.3.16).
    """
    wide = b""
    if _is_wide(count, size, position):
        fixed = (b"PK\x06\x06", _END64.size - 12, _UNIX | _ZIP64, _ZIP64, 0, 0, count, count, size, position)
        wide = _END64.pack(*fixed) + _LOCATOR64.pack(b"PK\x06\x07", 0, position + size, 1)
    told = min(count, _FULL16)
    return wide + _END.pack(b"PK\x05\x06", 0, 0, told, told, min(size, _FULL32), min(position, _FULL32), 0)


def end_records_size(count: int, size: int, position: int) -> int:
    """The size of ``end_records`` for such a directory."""
    return _END.size + (_END64.size + _LOCATOR64.size if _is_wide(count, size, position) else 0)
