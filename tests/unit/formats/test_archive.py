"""instances.zip: any unzip reads it, and the manifest alone is enough to find every instance."""

import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.formats.archive import iterate, layout
from contracts.formats.errors import ArchiveMismatch
from contracts.formats.manifest import Instance, Manifest, merge, place
from tests.unit.formats.files import describe, manifest_of, opener

GIB = 1 << 30


def build(manifest: Manifest, contents: list[bytes]) -> bytes:
    """The archive in memory."""
    return b"".join(iterate(manifest.instances, opener(contents)))


@given(st.lists(st.binary(max_size=300), max_size=12))
def test_every_archive_is_a_sound_zip_of_its_files(contents: list[bytes]) -> None:
    """The standard library reads names, sizes, CRCs and contents; the layout foretold every offset and the size."""
    manifest = manifest_of(contents)
    data = build(manifest, contents)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert [archive.read(name) for name in archive.namelist()] == contents
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        assert all(info.date_time == (1980, 1, 1, 0, 0, 0) for info in archive.infolist())
    foretold = layout(manifest.instances)
    assert foretold.total == len(data)
    assert foretold.offsets == tuple(each.offset for each in manifest.instances)
    assert [data[each.offset : each.offset + each.length] for each in manifest.instances] == contents


@pytest.mark.skipif(shutil.which("unzip") is None, reason="needs unzip")
def test_unzip_finds_no_error(contents: list[bytes], tmp_path: Path) -> None:
    """A second, independent implementation agrees."""
    path = tmp_path / "instances.zip"
    path.write_bytes(build(manifest_of(contents), contents))
    done = subprocess.run(["unzip", "-t", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_archive_of_a_merged_manifest_is_the_archive_of_its_files(contents: list[bytes]) -> None:
    """CRC and length in the manifest let a pack be put together without a second pass over its files."""
    merged = merge([manifest_of(contents[:1]), manifest_of(contents[1:])], id="pack")
    assert build(merged, contents) == build(manifest_of(contents), contents)


def test_the_same_manifest_gives_the_same_archive_however_it_is_chunked(contents: list[bytes]) -> None:
    """The archive is a pure function of its manifest."""
    instances = manifest_of(contents).instances
    one, other = (b"".join(iterate(instances, opener(contents, chunk))) for chunk in (7, 100_000))
    assert one == other


def sparse(path: Path, instances: list[Instance]) -> int:
    """Write an archive of zeros with holes for the data; the greatest chunk in bytes."""
    zeros, greatest = memoryview(bytes(1 << 20)), 0

    def open_file(instance: Instance):
        whole, rest = divmod(instance.length, len(zeros))
        yield from (zeros for _ in range(whole))
        yield zeros[:rest]

    with path.open("wb") as file:
        for chunk in iterate(instances, open_file):
            greatest = max(greatest, len(chunk))
            if isinstance(chunk, memoryview):
                file.seek(len(chunk), io.SEEK_CUR)
            else:
                file.write(chunk)
    return greatest


def test_an_instance_beyond_4_gib_and_those_behind_it_are_readable(tmp_path: Path) -> None:
    """Zip64 extras stand where they are needed: for a big entry, and for a small one that lies far behind."""
    big = describe(b"DICM").model_copy(update={"length": 5 * GIB, "crc32": 1})
    small = describe(bytes(9))
    instances = list(place([small, big, small]))
    assert sparse(tmp_path / "big.zip", instances) <= 1 << 20
    with zipfile.ZipFile(tmp_path / "big.zip") as archive:
        assert [info.file_size for info in archive.infolist()] == [9, 5 * GIB, 9]
        assert archive.infolist()[2].header_offset > 5 * GIB
        assert archive.read("000003.dcm") == bytes(9)
        with archive.open("000002.dcm") as entry:
            assert entry.read(1000) == bytes(1000)
    assert layout(instances).total == (tmp_path / "big.zip").stat().st_size


def test_entries_of_4_gib_less_a_byte_sit_on_the_border(tmp_path: Path) -> None:
    """The greatest 32-bit number means "see zip64" (APPNOTE 4.4.8), one less does not."""
    instances = [describe(b"DICM").model_copy(update={"length": 4 * GIB - less}) for less in (2, 1)]
    placed = list(place(instances))
    sparse(tmp_path / "border.zip", placed)
    with zipfile.ZipFile(tmp_path / "border.zip") as archive:
        assert [info.file_size for info in archive.infolist()] == [4 * GIB - 2, 4 * GIB - 1]
    assert layout(placed).total == (tmp_path / "border.zip").stat().st_size


def test_more_entries_than_16_bits_count_are_readable() -> None:
    """The end record is a zip64 one for 65,535 entries and more."""
    instances = list(place(describe(b"") for _ in range(3))) * 22_000
    placed = list(place(instances))
    data = b"".join(iterate(placed, lambda _: ()))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert len(archive.namelist()) == 66_000
    assert layout(placed).total == len(data)


@pytest.mark.parametrize(("change", "reason"), [(b"", "file-too-short"), (b"DICMxx", "file-too-long")])
def test_a_file_of_another_length_than_planned_is_refused(change: bytes, reason: str) -> None:
    """Offsets already written into the manifest would lie."""
    with pytest.raises(ArchiveMismatch, match=reason):
        list(iterate(manifest_of([b"DICM"]).instances, lambda _: [change]))


def test_a_manifest_whose_offsets_are_not_the_archives_is_refused() -> None:
    """An archive is only written for instances that were placed in it."""
    with pytest.raises(ArchiveMismatch, match="instance-misplaced"):
        list(iterate([describe(b"DICM")], lambda _: [b"DICM"]))
