"""What a person can judge by the pictures goes out when it is approved; what nobody can see does not."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    MPEG2MPML,
    CTImageStorage,
    ExplicitVRLittleEndian,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from services.deid.adapters.examining import Examiner
from services.deid.adapters.pictures import ProcessPictures
from services.deid.domain.candidate import Candidate, approving, candidate_of
from services.deid.domain.looking.scanner import Finding
from services.deid.domain.part10 import Project
from services.deid.domain.pictures.boxes import Box, Boxes
from services.deid.domain.pictures.devices import Devices, standard_devices
from services.deid.domain.pictures.picture import Picture
from services.deid.domain.pictures.policy import PicturePolicy
from services.deid.domain.pictures.rendering import Grey
from services.deid.domain.pictures.retouch import Found, Order, Pictures
from services.deid.domain.pictures.risk import refusal_of
from services.deid.domain.withholding import Reason, Withheld
from services.deid.domain.workspace import Workspace, part_of
from tests.support.instances import CANARY, as_file
from tests.unit.deid.originals import describe
from tests.unit.deid.pictures import cleaning, lettered, picture


def screenshot(**attributes: Any) -> Dataset:
    """A picture without text."""
    return picture([lettered(text="")], ExplicitVRLittleEndian, **attributes)


def holding(using: Pictures, **profile: Any) -> Project:
    """A project whose profile holds more back."""
    project = cleaning(using)
    wanted = replace(project.profile, **profile)
    return replace(project, profile=wanted, refuse=refusal_of(wanted, cleans_pixels=True))


def candidate(image: Dataset, project: Project, *, approved: bool) -> Candidate:
    """What would go out of an image."""
    file = as_file(image)
    used = approving(project) if approved else project
    return candidate_of("part", describe(file), [lambda: iter([file])], used, Workspace.of(BytesIO))


KNOWN = PicturePolicy(known_devices_only=True)
NO_CAPTURES = PicturePolicy(secondary_capture=False)


@pytest.mark.parametrize(
    ("attributes", "profile", "reason"),
    [
        ({}, {"pictures": KNOWN}, Reason.UNKNOWN_DEVICE),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, {"pictures": NO_CAPTURES}, Reason.SECONDARY_CAPTURE),
        ({"SOPClassUID": CTImageStorage, "BodyPartExamined": "HEAD"}, {"hold_faces": True}, Reason.FACE),
    ],
)
def test_what_a_profile_holds_for_its_kind_a_person_may_let_go(
    pictures: ProcessPictures, attributes: dict[str, Any], profile: dict[str, Any], reason: Reason
) -> None:
    """Cleaned like any other: only the rule that held it back is lifted."""
    project = holding(pictures, **profile)
    assert candidate(screenshot(**attributes), project, approved=False).reason is reason
    found = candidate(screenshot(**attributes), project, approved=True)
    assert (found.reason, found.findings, len(found.pack.released)) == (None, (), 1)
    file = part_of(found.pack.workspace.cleaned, found.pack.released[0].file).read()
    assert [value for value in CANARY.values if value.encode() in file] == []


def test_text_of_an_approved_picture_is_blanked_all_the_same(pictures: ProcessPictures) -> None:
    image = picture([lettered()], ExplicitVRLittleEndian)
    found = candidate(image, holding(pictures, pictures=KNOWN), approved=True)
    after = dcmread(BytesIO(part_of(found.pack.workspace.cleaned, found.pack.released[0].file).read()))
    assert set(after.pixel_array[lettered() > 100].tolist()) == {0}


@pytest.mark.parametrize("approved", [False, True])
def test_moving_pictures_stay_as_nobody_can_be_shown_them(pictures: ProcessPictures, approved: bool) -> None:
    image = picture([lettered(text="")], RLELossless)
    image.file_meta.TransferSyntaxUID = MPEG2MPML
    file = as_file(image)
    held = candidate_of(
        "part",
        describe(file),
        [lambda: iter([file])],
        replace(cleaning(pictures), approved=approved),
        Workspace.of(BytesIO),
    )
    assert held.reason is Reason.VIDEO


class Stubborn:
    """Cannot get the text out, and says so; what a person saw goes as far as it was cleaned."""

    devices: Devices = standard_devices()

    def examine(self, order: Order, frames: Iterable[bytes]) -> Found:
        return Found(((Box(0, 0, 9, 9),),))

    def clean(self, order: Order, found: Found, frames: Iterable[bytes], syntax: str) -> Iterator[bytes | None]:
        if not order.approved:
            raise Withheld(Reason.TEXT_LEFT)
        yield from frames

    def reread(self, order: Order, frames: Iterable[bytes]) -> Iterator[tuple[int, Box]]:
        yield 0, Box(0, 0, 9, 9)


def test_text_that_is_still_found_may_be_none_to_a_person() -> None:
    """Both looks tell of it; approved, it goes out, and what was found stands beside the decision."""
    project = cleaning(Stubborn())
    assert candidate(screenshot(), project, approved=False).reason is Reason.TEXT_LEFT
    found = candidate(screenshot(), project, approved=True)
    assert (found.reason, found.findings) == (None, (Finding("(7fe0,0010) frame 1", "text-in-pixels"),))


class Moving:
    """Finds text somewhere else with each look."""

    def __init__(self) -> None:
        self.looks = 0

    def text_boxes(self, image: Grey, near: Boxes | None = None) -> Boxes:
        self.looks += 1
        return (Box(20 * self.looks, 0, 20 * self.looks + 10, 10),)


@pytest.mark.parametrize("approved", [False, True])
def test_the_process_gives_what_it_blanked_to_who_approved(approved: bool) -> None:
    """Otherwise nothing but how much is left."""
    examiner, engine = Examiner(), Moving()
    examiner.__dict__ |= {"_first": engine, "_second": engine}
    grey = lettered(text="")
    described = Picture(*grey.shape, 1, 1, 8, 8, 7, False, "MONOCHROME2", 0, ExplicitVRLittleEndian)
    request = {"do": "clean", "picture": described.facts(), "cleared_bits": 0, "boxes": [(0, 40, 5, 45)], "maybe": []}
    told, frame = examiner.answer({**request, "syntax": ExplicitVRLittleEndian, "approved": approved}, grey.tobytes())
    assert bool(frame) is approved
    assert told == ({} if approved else {"left": 1})


def test_an_identifier_in_the_header_stays_whoever_approves(
    pictures: ProcessPictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can see it in a picture: another profile, and a retry, are the way out."""
    monkeypatch.setattr("services.deid.domain.identifiers.Identifiers.in_header", lambda *_: True)
    assert candidate(screenshot(), cleaning(pictures), approved=True).reason is Reason.IDENTIFIER_LEFT


def test_who_lets_it_go_is_shown_what_is_found_in_what_is_told_of_it(pictures: ProcessPictures) -> None:
    """The name of a pack, its manifest and its headers are looked at for whoever decides, too."""
    file = as_file(screenshot(PatientID=CANARY.patient_id))
    workspace = Workspace.of(BytesIO)
    named = f"part {CANARY.patient_id}"
    found = candidate_of(named, describe(file), [lambda: iter([file])], approving(cleaning(pictures)), workspace)
    assert found.pack.released
    assert {each.place for each in found.findings} == {"pack"}
