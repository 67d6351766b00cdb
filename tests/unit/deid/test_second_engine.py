"""The second look reads the pixels of what goes out, with the network that did not look first."""

from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, JPEG2000Lossless

from cli.deidentify.one import Recipe
from services.deid.adapters.pictures import ProcessPictures
from services.deid.adapters.profiles import FileProfiles
from services.deid.adapters.projects import FileProjects
from services.deid.adapters.second_engine import SecondEngine
from services.deid.domain.looking.scanner import Finding
from services.deid.domain.options import Option
from services.deid.domain.packing import CleanPack, Original, clean_pack
from services.deid.domain.pictures.boxes import Box
from services.deid.domain.pictures.devices import Devices, standard_devices
from services.deid.domain.pictures.retouch import Found, Order, Pictures
from services.deid.domain.profile import Profile
from services.deid.domain.withholding import Reason
from services.deid.domain.workspace import Workspace
from tests.support.deid_corpus.faint import faint
from tests.support.instances import as_file, make_instances
from tests.unit.deid.originals import describe
from tests.unit.deid.pictures import cleaning, lettered, picture

SYNTAXES = [ExplicitVRLittleEndian, "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", JPEG2000Lossless]


class Blind:
    """Sees nothing at first; the second look is real."""

    def __init__(self, pictures: ProcessPictures) -> None:
        self._pictures = pictures

    @property
    def devices(self) -> Devices:
        return standard_devices()

    def examine(self, order: Order, frames: Iterable[bytes]) -> Found:
        return Found(tuple(() for _ in frames))

    def clean(self, order: Order, found: Found, frames: Iterable[bytes], syntax: str) -> Iterator[bytes | None]:
        return self._pictures.clean(order, found, frames, syntax)

    def reread(self, order: Order, frames: Iterable[bytes]) -> Iterator[tuple[int, Box]]:
        return self._pictures.reread(order, frames)


def packed(pictures: Pictures) -> CleanPack:
    """A pack of one picture with text."""
    file = as_file(picture([lettered()], ExplicitVRLittleEndian))
    only = Original(describe(file), (lambda: iter([file]),))
    return clean_pack("pack", [only], cleaning(pictures), Workspace.of(BytesIO))


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_text_that_is_left_is_seen_in_its_frame(pictures: ProcessPictures, syntax: str) -> None:
    frames = [lettered(text="DOE, JANE 1977" if number == 1 else "", seed=number) for number in range(3)]
    file = as_file(picture(frames, syntax))
    assert {frame for frame, _ in SecondEngine(pictures).text_boxes(BytesIO(file))} == {1}


def test_text_between_frames_that_are_looked_at_singly_is_seen(pictures: ProcessPictures) -> None:
    """Of forty frames one has text; it shows in what its neighbours have in common with it."""
    frames = [lettered(200, 240, seed=number, text="DOE, JANE" if number == 17 else "") for number in range(40)]
    file = as_file(picture(frames, ExplicitVRLittleEndian))
    assert list(SecondEngine(pictures).text_boxes(BytesIO(file)))


def test_faint_text_of_a_cross_section_is_seen(pictures: ProcessPictures) -> None:
    """Eight times the noise, which the first look's arithmetic takes for none."""
    pixels = faint(2, 8, [None]).pixels
    image = picture([pixels], ExplicitVRLittleEndian, stored=16, SOPClassUID=CTImageStorage, Modality="CT")
    image.BurnedInAnnotation = "NO"
    assert list(SecondEngine(pictures).text_boxes(BytesIO(as_file(image))))


@pytest.mark.parametrize("syntax", [*SYNTAXES, DeflatedExplicitVRLittleEndian])
def test_a_picture_without_text_has_none(pictures: ProcessPictures, syntax: str) -> None:
    file = as_file(picture([lettered(text="")], syntax))
    assert list(SecondEngine(pictures).text_boxes(BytesIO(file))) == []


def test_a_deflated_file_is_read_as_it_goes_out(pictures: ProcessPictures) -> None:
    file = as_file(picture([lettered()], DeflatedExplicitVRLittleEndian))
    assert list(SecondEngine(pictures).text_boxes(BytesIO(file)))


def test_objects_without_pixels_are_not_decoded(monkeypatch: pytest.MonkeyPatch, pictures: ProcessPictures) -> None:
    (slice_,) = make_instances(1)
    del slice_.PixelData
    monkeypatch.setattr(ProcessPictures, "reread", None)
    assert list(SecondEngine(pictures).text_boxes(BytesIO(as_file(slice_)))) == []


def test_what_the_first_network_missed_is_withheld(pictures: ProcessPictures) -> None:
    """With its place, for people to look at."""
    pack = packed(Blind(pictures))
    assert [held.reason for held in pack.held] == [Reason.SECOND_LOOK]
    assert pack.held_record(pack.held[0]).findings == (Finding("(7fe0,0010) frame 1", "text-in-pixels"),)


def test_what_the_first_network_blanked_goes_out(pictures: ProcessPictures) -> None:
    pack = packed(pictures)
    assert (len(pack.released), pack.held) == (1, ())


def test_pixels_that_the_second_look_cannot_read_are_a_finding(pictures: ProcessPictures) -> None:
    """A frame that is cut short says nothing, so nobody vouches for it."""
    file = as_file(picture([lettered()], JPEG2000Lossless))
    project, broken = cleaning(pictures), file.replace(dcmread(BytesIO(file)).PixelData[20:400], bytes(380))
    assert broken != file
    found = project.look.at(BytesIO(file), BytesIO(broken))
    assert Finding("(7fe0,0010)", "unreadable") in found


@pytest.mark.parametrize("cleans", [True, False])
def test_every_project_that_has_pixels_cleaned_has_a_second_engine(
    tmp_path: Path, pictures: ProcessPictures, cleans: bool
) -> None:
    """The service's projects and those of ``causeway deidentify``."""
    options = frozenset({Option.CLEAN_PIXEL_DATA}) if cleans else frozenset[Option]()
    profile = Profile("p", options=options)
    task = Recipe(tmp_path / "keys", "trial", profile, tmp_path / "out").task()
    assert isinstance(task.project.second_engine, SecondEngine) is cleans
    task.close()
    (tmp_path / "research.yaml").write_text(_document(cleans=cleans))
    opened = FileProjects(tmp_path / "keys", profiles=FileProfiles(tmp_path), pictures=pictures).open("research")
    assert isinstance(opened.second_engine, SecondEngine) is cleans


def _document(*, cleans: bool) -> str:
    options = "[clean_pixel_data]" if cleans else "[]"
    return f'format: causeway.profile/1\nname: p\nversion: "1"\nlegal_basis: gdpr_pseudonymised\noptions: {options}\n'


def test_what_is_blanked_leaves_edges_that_are_no_letters(pictures: ProcessPictures) -> None:
    """Boxes in a line, each with sharp edges in noise."""
    pixels = lettered(text="")
    changed = np.array(pixels)
    for left in range(20, 380, 60):
        changed[90:120, left : left + 40] = 0
    file = as_file(picture([changed], ExplicitVRLittleEndian))
    assert list(SecondEngine(pictures).text_boxes(BytesIO(file))) == []
