"""From the instances of a plan to a pack."""

import json
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import BinaryIO
from zipfile import ZipFile

import pytest
from pydicom import dcmread
from pydicom.uid import SecondaryCaptureImageStorage

from contracts.events import PackPlanned, PlannedCopy
from contracts.formats.headers import read_headers
from contracts.formats.manifest import read_manifest
from services.deid.adapters.work_area import quarantine_key
from services.deid.domain.documents import Record
from services.deid.domain.looking.scanner import Finding
from services.deid.domain.options import Option
from services.deid.domain.packing import (
    CleanPack,
    InputDamaged,
    Original,
    clean_pack,
    pack_id_of,
    projects_of,
)
from services.deid.domain.profile import Profile
from services.deid.domain.withholding import Reason
from services.deid.domain.workspace import Document, Workspace
from shared.errors import RetryLater, Unprocessable
from tests.support.instances import as_file, make_instances
from tests.support.packs import planned, sha256
from tests.unit.deid.originals import describe, project


def workspace() -> Workspace:
    """Files in memory."""
    return Workspace.of(BytesIO)


def original(file: bytes, *before: bytes | Exception) -> Original:
    """An instance whose last source is ``file``, behind others that fail or lie."""

    def opener(content: bytes | Exception) -> Iterator[bytes]:
        if isinstance(content, Exception):
            raise content
        yield content

    return Original(describe(file), tuple(lambda each=each: opener(each) for each in (*before, file)))


@pytest.fixture
def files() -> list[bytes]:
    """Four slices and a screenshot of one study."""
    slices = make_instances(4)
    screenshot = make_instances(1, study_uid=slices[0].StudyInstanceUID, SOPClassUID=SecondaryCaptureImageStorage)
    return [as_file(each) for each in (*slices[:2], *screenshot, *slices[2:])]


def packed(files: list[bytes]) -> CleanPack:
    """The pack of ``files``."""
    using = project()
    return clean_pack(pack_id_of("source", using), [original(file) for file in files], using, workspace())


def content(document: Document) -> bytes:
    """All of a document."""
    return b"".join(document.chunks())


def test_what_can_be_cleaned_goes_and_the_rest_is_held_with_its_bytes(files: list[bytes]) -> None:
    """One screenshot does not hold up a series."""
    pack = packed(files)
    assert len(pack.released) == len(pack.entries) == 4
    (held,) = pack.held
    assert held.reason == "pixels-unproven"
    assert b"".join(pack.held_file(held)) == files[2]


def test_what_differs_in_its_head_or_in_its_data_set_is_held_in_places_of_their_own(files: list[bytes]) -> None:
    """The same file lies where it lay, another one never on top of it."""
    (held,) = packed(files).held
    others = (held, held._replace(meta_sha256="0" * 64), held._replace(dataset_sha256="0" * 64))
    assert len({quarantine_key(project(), one) for one in others}) == 3
    (again,) = packed(files[2:3]).held
    assert quarantine_key(project(), again) == quarantine_key(project(), held)


def test_the_archive_is_a_zip_of_what_the_manifest_says(files: list[bytes]) -> None:
    """Any unzip opens it."""
    pack = packed(files)
    manifest = read_manifest(pack.manifest.chunks())
    with ZipFile(BytesIO(b"".join(map(bytes, pack.archive())))) as archive:
        assert archive.testzip() is None
        for instance in manifest.instances:
            inside = dcmread(BytesIO(archive.read(instance.entry)))
            assert inside.SOPInstanceUID == instance.sop_instance_uid
    assert (manifest.form, manifest.id) == ("deidentified", pack.pack_id)
    headers = list(read_headers(pack.headers.chunks()))
    assert [header.entry for header in headers] == [instance.entry for instance in manifest.instances]
    assert all(header.header and header.header["00120062"]["Value"] == ["YES"] for header in headers)


def test_the_pack_shares_nothing_with_its_source(files: list[bytes]) -> None:
    """No id, no UID, no digest, no time, no order."""
    pack = packed(files)
    shown = (pack.pack_id.encode() + content(pack.manifest) + content(pack.headers)).decode()
    for file in files:
        told = describe(file)
        for trace in (told.sop_instance_uid, told.study_uid, told.series_uid, told.meta_sha256, told.dataset_sha256,
                      told.header_sha256, told.pixel_blake3, "source"):  # fmt: skip
            assert trace and trace not in shown
    uids = [entry.sop_instance_uid for entry in pack.entries]
    assert uids == sorted(uids)


def test_links_relate_each_entry_to_its_original(files: list[bytes]) -> None:
    """They stay on site."""
    pack = packed(files)
    links = {link["entry"]: link for link in json.loads(content(pack.links))}
    for entry in pack.entries:
        link = links[entry.entry]
        assert link["new_sop_instance_uid"] == entry.sop_instance_uid == project().key.uid(link["sop_instance_uid"])
        assert link["new_dataset_sha256"] == entry.dataset_sha256
    assert {link["dataset_sha256"] for link in links.values()} < {describe(file).dataset_sha256 for file in files}


def test_the_same_plan_gives_the_same_pack(files: list[bytes]) -> None:
    """Whatever the order in which its instances came."""
    assert content(packed(files).manifest) == content(packed(files[::-1]).manifest)


@pytest.mark.parametrize("position", [0, 140, -1])
def test_the_next_source_is_read_when_one_is_damaged_or_gone(files: list[bytes], position: int) -> None:
    """A flip on site is never passed on as good, be it before the data set or within it."""
    flipped = bytearray(files[0])
    flipped[position] ^= 1
    one = original(files[0], bytes(flipped), Unprocessable("blob-missing"), RetryLater("store-unavailable"))
    pack = clean_pack(pack_id_of("source", project()), [one], project(), workspace())
    assert pack.manifest_sha256 == packed(files[:1]).manifest_sha256


@pytest.mark.parametrize(
    ("trouble", "raised"),
    [(b"flipped", InputDamaged), (Unprocessable("gone"), InputDamaged), (RetryLater("away"), RetryLater)],
)
def test_without_a_good_source_nothing_is_made_up(trouble: bytes | Exception, raised: type[Exception]) -> None:
    """A source that is only away is worth a wait."""
    (slice_,) = make_instances(1)
    good = original(as_file(slice_), trouble)
    with pytest.raises(raised):
        clean_pack("source", [good._replace(sources=good.sources[:1])], project(), workspace())


def test_another_edition_is_the_same_files_under_another_name(files: list[bytes]) -> None:
    """Only the manifest tells the difference."""
    pack = packed(files)
    headers, archive = content(pack.headers), b"".join(map(bytes, pack.archive()))
    other = pack.renamed(pack_id_of("source", project(), pack.manifest_sha256))
    assert (content(other.headers), b"".join(map(bytes, other.archive()))) == (headers, archive)
    manifest = read_manifest(other.manifest.chunks())
    assert manifest.id == other.pack_id != pack.pack_id
    assert other.manifest_sha256 == sha256(content(other.manifest)) != pack.manifest_sha256


def test_an_empty_pack_is_a_pack_of_which_nothing_goes_out(files: list[bytes]) -> None:
    """All withheld."""
    pack = packed(files[2:3])
    assert not pack.entries
    assert len(pack.held) == 1


def test_copies_are_grouped_by_project() -> None:
    """Each project has keys of its own; identified copies are none of ours."""

    def copy(project: str | None, target: str, form: str = "deidentified") -> PlannedCopy:
        return PlannedCopy(form=form, target=target, tier="hot", key_domain="k", project=project)

    wanted = (copy("b", "x"), copy("a", "x"), copy("a", "y"), copy(None, "z", "identified"), copy(None, "x"))
    event: PackPlanned = planned([], wanted)
    assert {name: len(copies) for name, copies in projects_of(event).items()} == {"a": 2, "b": 1, "default": 1}


class Lettering:
    """Finds text in the pixels of one file: the one that begins as ``mark`` does."""

    def __init__(self, mark: bytes) -> None:
        self.mark = mark

    def text_boxes(self, file: BinaryIO) -> list[tuple[int, tuple[int, int, int, int]]]:
        file.seek(0)
        return [(0, (0, 0, 5, 5))] if self.mark in file.read() else []


def test_what_the_second_look_finds_is_held_and_the_rest_goes(files: list[bytes]) -> None:
    """It fails closed, for the one entry; what was found is noted beside it."""
    engine = Lettering(project().key.uid(describe(files[1]).sop_instance_uid).encode())
    profile = Profile("pixels", options=frozenset((Option.CLEAN_PIXEL_DATA,)))
    using = replace(project(), profile=profile, second_engine=engine)
    pack = clean_pack("pack", [original(file) for file in files], using, workspace())
    assert [held.reason for held in pack.held] == [Reason.SECOND_LOOK, Reason.PIXELS_UNPROVEN]
    record = pack.held_record(pack.held[0])
    assert record == Record(describe(files[1]), (Finding("(7fe0,0010) frame 1", "text-in-pixels"),))
    assert pack.held_record(pack.held[1]) == Record(describe(files[2]))
    assert b"".join(pack.held_file(pack.held[0])) == files[1]
    with ZipFile(BytesIO(b"".join(map(bytes, pack.archive())))) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == len(pack.released) == 3
        assert not any(engine.mark in archive.read(name) for name in archive.namelist())
