"""Where the legal basis is safe harbor, nothing that goes out is derived from what it stands for."""

import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import Dataset, dcmread
from pydicom.sequence import Sequence

from services.deid.domain.packing import TOGETHER, CleanPack, Original, clean_pack
from services.deid.domain.part10 import Project
from services.deid.domain.pseudonyms import ProjectKey, RandomKey, uid_of
from services.deid.domain.workspace import Workspace
from tests.support.instances import as_file, make_instances
from tests.unit.deid.originals import describe, trusting

SECRET = b"p" * 32


class Map:
    """A map in memory that counts how often it is asked for UIDs."""

    def __init__(self) -> None:
        self.asked = 0
        self._uids: dict[str, str] = {}
        self._pseudonyms: dict[str, str] = {}

    def pseudonym(self, person: str, proposal: Callable[[int], str]) -> str:
        return self._pseudonyms.setdefault(person, proposal(0))

    def uids(self, tokens: Collection[str]) -> Mapping[str, str]:
        self.asked += 1
        return {token: self._uids.setdefault(token, uid_of(secrets.randbits(128))) for token in tokens}


def drawing(kept: Map) -> Project:
    """A project whose map is ``kept``."""
    return replace(trusting(), key=RandomKey(SECRET, kept, lambda: "P" + secrets.token_hex(8)[:15].upper()))


def packed(slices: list[Dataset], kept: Map) -> CleanPack:
    """The pack of ``slices``."""
    files = [as_file(each) for each in slices]
    originals = [Original(describe(file), (lambda file=file: iter((file,)),)) for file in files]
    return clean_pack("pack", originals, drawing(kept), Workspace.of(BytesIO))


@pytest.fixture
def slices() -> list[Dataset]:
    """A series, of which each instance refers to one of another study."""
    made = make_instances(TOGETHER + 3, FrameOfReferenceUID="1.2.840.99.7")
    for each in made:
        each.ReferencedImageSequence = Sequence([Dataset()])
        each.ReferencedImageSequence[0].ReferencedSOPClassUID = each.SOPClassUID
        each.ReferencedImageSequence[0].ReferencedSOPInstanceUID = "1.2.840.99.8"
    return made


def test_no_uid_of_a_pack_is_derived_from_what_it_stands_for(slices: list[Dataset]) -> None:
    """Neither that of the instance nor any that it refers to is what the key would make of the original."""
    pack = packed(slices[:1], Map())
    pack.workspace.cleaned.seek(0)
    out, before, key = dcmread(pack.workspace.cleaned), slices[0], ProjectKey(SECRET)
    places: tuple[Callable[[Dataset], str], ...] = (
        lambda data: data.StudyInstanceUID,
        lambda data: data.SeriesInstanceUID,
        lambda data: data.SOPInstanceUID,
        lambda data: data.FrameOfReferenceUID,
        lambda data: data.ReferencedImageSequence[0].ReferencedSOPInstanceUID,
    )
    for place in places:
        assert place(out).startswith("2.25.")
        assert place(out) not in (place(before), key.uid(place(before)))
    assert out.PatientID != key.patient("", before.PatientID, before.StudyInstanceUID)


def test_the_same_map_gives_the_same_bytes_and_another_one_others(slices: list[Dataset]) -> None:
    """However often a pack is made, and in whatever order."""
    kept = Map()
    first, again = packed(slices, kept), packed(slices[::-1], kept)
    assert first.manifest_sha256 == again.manifest_sha256
    assert packed(slices, Map()).manifest_sha256 != first.manifest_sha256


def test_a_pack_asks_for_its_uids_together(slices: list[Dataset]) -> None:
    """Once for what the manifest names of so many instances, once for what only the headers of a series name."""
    kept = Map()
    packed(slices, kept)
    assert kept.asked == 3
