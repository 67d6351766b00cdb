"""Which files can be sent, and what is told of those that cannot."""

import os
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.filewriter import dcmwrite
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from cli.dicom_files import Outgoing, Problem, Skipped, examine, files_below
from tests.support.instances import as_file, make_instances

EXPLICIT = "1.2.840.10008.1.2.1"


@pytest.fixture
def image() -> pydicom.Dataset:
    """One slice."""
    return make_instances(1)[0]


def written(folder: Path, content: bytes) -> Path:
    """A file with this content."""
    path = folder / "file"
    path.write_bytes(content)
    return path


def without_meta(image: pydicom.Dataset, syntax: str) -> bytes:
    """The bare data set in ``syntax``."""
    file = BytesIO()
    implicit = syntax == ImplicitVRLittleEndian
    bare = pydicom.Dataset(image)
    dcmwrite(file, bare, implicit_vr=implicit, little_endian=syntax != ExplicitVRBigEndian, force_encoding=True)
    return file.getvalue()


def test_the_data_set_of_a_file_is_found_where_it_begins(image: pydicom.Dataset, tmp_path: Path) -> None:
    path = written(tmp_path, as_file(image))
    found = examine(path)
    assert isinstance(found, Outgoing)
    assert (found.sop_class, found.sop_instance) == (image.SOPClassUID, image.SOPInstanceUID)
    assert found.transfer_syntax == EXPLICIT
    assert found.offset + found.length == path.stat().st_size
    read = pydicom.dcmread(path)
    assert read.get_item("PixelData").value_tell + len(image.PixelData) == found.offset + found.length


@pytest.mark.parametrize("syntax", [EXPLICIT, ImplicitVRLittleEndian])
def test_a_data_set_without_any_header_is_sent_in_the_syntax_it_has(
    image: pydicom.Dataset, syntax: str, tmp_path: Path
) -> None:
    data = without_meta(image, syntax)
    found = examine(written(tmp_path, data))
    assert found == Outgoing(tmp_path / "file", 0, len(data), image.SOPClassUID, image.SOPInstanceUID, syntax)


@pytest.mark.parametrize("content", [b"", b"x", b"# A text that is no DICOM\n" * 50, b"\x89PNG\r\n\x1a\n" + bytes(500)])
def test_what_is_no_dicom_is_told_so(content: bytes, tmp_path: Path) -> None:
    found = examine(written(tmp_path, content))
    assert isinstance(found, Problem)
    assert found.why.startswith("not DICOM")


@pytest.mark.parametrize("cut", [1, 20, 300, 700])
def test_a_file_that_is_cut_short_is_told_so(image: pydicom.Dataset, cut: int, tmp_path: Path) -> None:
    whole = as_file(image)
    found = examine(written(tmp_path, whole[: len(whole) - cut]))
    assert isinstance(found, Problem)
    assert found.why.startswith("cut short")


def test_compressed_pixels_that_are_cut_short_are_told_so(tmp_path: Path) -> None:
    whole = Path(str(get_testdata_file("JPEG2000.dcm"))).read_bytes()
    assert isinstance(examine(written(tmp_path, whole)), Outgoing)
    found = examine(written(tmp_path, whole[:-100]))
    assert isinstance(found, Problem) and found.why.startswith("cut short")


def test_a_deflated_file_is_read_and_one_that_is_cut_is_told(tmp_path: Path) -> None:
    whole = Path(str(get_testdata_file("image_dfl.dcm"))).read_bytes()
    found = examine(written(tmp_path, whole))
    assert isinstance(found, Outgoing) and found.transfer_syntax == DeflatedExplicitVRLittleEndian
    cut = examine(written(tmp_path, whole[:-200]))
    assert isinstance(cut, Problem) and "cut short" in cut.why


def test_a_dicomdir_is_skipped_with_a_note() -> None:
    found = examine(Path(str(get_testdata_file("DICOMDIR"))))
    assert isinstance(found, Skipped) and "DICOMDIR" in found.why


@pytest.mark.parametrize("missing", ["SOPInstanceUID", "SOPClassUID"])
def test_an_object_without_its_uids_is_told_so(image: pydicom.Dataset, missing: str, tmp_path: Path) -> None:
    delattr(image, missing)
    found = examine(written(tmp_path, without_meta(image, EXPLICIT)))
    assert isinstance(found, Problem) and found.why.startswith("no SOP")


def test_a_file_that_cannot_be_opened_is_told_so(tmp_path: Path) -> None:
    found = examine(tmp_path / "nothing")
    assert isinstance(found, Problem) and found.why.startswith("cannot be read")


def test_what_is_no_file_is_told_so_and_not_waited_for(tmp_path: Path) -> None:
    """A pipe that nobody writes to; and nothing behind a link to a folder is left out in silence."""
    folder = tmp_path / "in"
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "circle").symlink_to(folder)
    (folder / "nowhere").symlink_to(tmp_path / "none")
    found = {path.name: examine(path) for path in files_below([folder])}
    assert {name: isinstance(one, Problem) for name, one in found.items()} == dict.fromkeys(
        ("circle", "nowhere", "pipe"), True
    )
    told = {name: one.why for name, one in found.items() if isinstance(one, Problem)}
    assert "not followed" in told["circle"] and "a pipe" in told["pipe"] and "cannot be read" in told["nowhere"]


def test_folders_are_searched_to_the_bottom_in_order(tmp_path: Path) -> None:
    for name in ("b/2", "b/1", "a/x/1", "c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [str(path.relative_to(tmp_path)) for path in files_below([tmp_path, tmp_path / "c"])]
    assert sorted(found[:4]) == ["a/x/1", "b/1", "b/2", "c"]
    assert found.index("b/1") < found.index("b/2")
    assert found[4] == "c"
