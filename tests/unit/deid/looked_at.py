"""Cleaned files as they would be had the cleaner left something in them, and what the second look finds there."""

import struct
from collections.abc import Iterable, Mapping
from functools import cache
from io import BytesIO
from typing import Any, BinaryIO

from pydicom import Dataset, dcmread

from services.deid.domain.looking.precedents import Precedents, Told, Under
from services.deid.domain.looking.reader import META, Walk, read_head
from services.deid.domain.looking.scanner import Finding, Look
from services.deid.domain.profile import Profile
from tests.support.instances import as_file, make_instances
from tests.unit.deid.originals import clean, project


def original(**attributes: Any) -> Dataset:
    """A slice of a patient with much to be found."""
    (made,) = make_instances(
        1,
        PatientName="Lindqvist^Astrid",
        PatientID="QX-48/1516",
        AccessionNumber="ACC778899",
        StudyDate="20210403",
        InstitutionName="Kaunisniemi Hospital 7",
        StudyDescription="head for Astrid, +358 40 1234567, astrid@example.org, 880117",
        InstitutionalDepartmentName="Room Kurki 12",
        ReferringPhysicianName="Kurk^A",
        **attributes,
    )
    return made


def look(before: bytes, after: bytes, told: Iterable[tuple[str, bytes]] = (), **profile: Any) -> tuple[Finding, ...]:
    """What is found in ``after``."""
    using = Profile("test", **profile)
    return Look(project().rules, using).at(BytesIO(before), BytesIO(after), told)


def changed(file: bytes, **attributes: Any) -> bytes:
    """The cleaned file as it would be had the cleaner left something in it."""
    inside = dcmread(BytesIO(file))
    for name, value in attributes.items():
        setattr(inside, name, value)
    return as_file(inside)


def planted(file: bytes, tag: int, vr: str, value: bytes) -> bytes:
    """The cleaned file (explicit, little endian) with one more element: the bytes of ``value`` as they are."""
    head, name = read_head(BytesIO(file)), struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    before = [start for start in head.starts if struct.unpack_from("<HH", file, start) < (tag >> 16, tag & 0xFFFF)]
    at = next((start for start in head.starts if start > before[-1]), head.rest)
    taken = Walk(file, META, []).one(at, len(file), "", (), 0)[0] if file[at : at + 4] == name else at
    value += b" " * (len(value) % 2) if vr not in ("OB", "UN") else bytes(len(value) % 2)
    wide = vr in ("OB", "OW", "OF", "UN", "UV", "SV", "SQ")
    length = struct.pack("<HI", 0, len(value)) if wide else struct.pack("<H", len(value))
    element = name + vr.encode() + length + value
    return file[:at] + element + file[taken:]


def kinds(findings: Iterable[Finding]) -> set[str]:
    """The kinds of what was found."""
    return {each.kind for each in findings}


@cache
def plain() -> tuple[bytes, bytes]:
    """The file of an original and what was made of it."""
    before = as_file(original())
    return before, clean(before)[1]


class Counting(Precedents):
    """Counts how often nothing had to be looked at anew."""

    cleared = 0

    def clear(self, original: BinaryIO, cleaned: BinaryIO, told: Told, named: Mapping[str, str], under: Under) -> bool:
        known = super().clear(original, cleaned, told, named, under)
        self.cleared += known
        return known


def cleared(look: Look) -> int:
    """How often a look that counts had to look at nothing anew."""
    assert isinstance(look.precedents, Counting)
    return look.precedents.cleared


Slice = tuple[bytes, bytes, Told]
