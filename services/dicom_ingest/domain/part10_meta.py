"""File Meta Information that arrives in pieces (PS3.10 section 7.1); the data set behind it is left as it is."""

import struct
from typing import NamedTuple

from services.dicom_ingest.domain.command import CANNOT_UNDERSTAND, InstanceRefused
from services.dicom_ingest.domain.elements import is_deflated
from services.dicom_ingest.domain.foreign import is_foreign

#: Preamble and meta information may be so long, bytes.
META_LIMIT = 64 * 1024
_PREAMBLE, _PREFIX_END = 128, 132
_HEAD, _LONG_LENGTH = struct.Struct("<HH2sH"), struct.Struct("<I")
#: VRs with a length of four bytes (PS3.5 section 7.1.2).
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_GROUP_LENGTH, _SOP_CLASS, _SOP_INSTANCE, _SYNTAX = 0x0000, 0x0002, 0x0003, 0x0010


class FileMeta(NamedTuple):
    """What the meta information says of the data set, empty where it says nothing; and of the preamble before it,
    whether the file is something else as well."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    is_foreign: bool = False


class BadMeta(InstanceRefused):
    """The bytes are no DICOM file; ``reason`` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, CANNOT_UNDERSTAND)


class MetaReader:
    """Feed it a file's bytes as they come until it answers."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, chunk: bytes | memoryview) -> tuple[FileMeta, memoryview] | None:
        """The meta information and the first bytes of the data set, None while more are needed; BadMeta."""
        self._held += chunk
        held = bytes(self._held)
        found = _read(held)
        if found is None:
            if len(held) > META_LIMIT:
                raise BadMeta("file-meta-too-long")
            return None
        meta, end = found
        self._held.clear()
        return meta, memoryview(held)[end:]


def _read(data: bytes) -> tuple[FileMeta, int] | None:
    """The meta information and where the data set begins.

    Some writers get the group length wrong, so it does not count beside the elements, unless a deflate stream follows:
    that may begin like anything.
    """
    if data[_PREAMBLE:_PREFIX_END] != b"DICM"[: max(len(data) - _PREAMBLE, 0)]:
        raise BadMeta("no-dicom-prefix")
    values: dict[int, bytes] = {}
    at, declared_end = _PREFIX_END, None
    while True:
        if at == declared_end and is_deflated(_text(values, _SYNTAX)):
            return _meta(values, data), at
        if len(data) < at + 8:
            return None
        group, element, vr, length = _HEAD.unpack_from(data, at)
        if group != 0x0002:
            return _meta(values, data), at
        start, length = _value(data, at, vr, length)
        if start + length > META_LIMIT:
            raise BadMeta("file-meta-too-long")
        if len(data) < start + length:
            return None
        values[element], at = data[start : start + length], start + length
        if element == _GROUP_LENGTH and length == 4:
            declared_end = at + _LONG_LENGTH.unpack(values[element])[0]


def _value(data: bytes, at: int, vr: bytes, length: int) -> tuple[int, int]:
    """Where a value begins, and its length; more than there is while the length has not arrived."""
    if vr not in _LONG:
        if not vr.isalpha() or not vr.isupper():
            raise BadMeta("bad-file-meta")
        return at + 8, length
    if len(data) < at + 12:
        return at + 12, 0
    return at + 12, _LONG_LENGTH.unpack_from(data, at + 8)[0]


def _meta(values: dict[int, bytes], data: bytes) -> FileMeta:
    sop_class, sop_instance, syntax = (_text(values, element) for element in (_SOP_CLASS, _SOP_INSTANCE, _SYNTAX))
    if not (sop_class and sop_instance and syntax):
        raise BadMeta("file-meta-without-uids")
    return FileMeta(sop_class, sop_instance, syntax, is_foreign(data[:_PREAMBLE]))


def _text(values: dict[int, bytes], element: int) -> str:
    return values.get(element, b"").strip(b"\0 ").decode("ascii", "replace")
