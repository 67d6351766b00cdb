"""What does not go out, and why."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import Dataset as Item
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    BasicTextSRStorage,
    BasicVoiceAudioWaveformStorage,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    RawDataStorage,
    SecondaryCaptureImageStorage,
    TwelveLeadECGWaveformStorage,
    UltrasoundImageStorage,
)

from services.deid.domain import part10
from services.deid.domain.deflated import INFLATED_LIMIT
from services.deid.domain.withholding import Reason, Withheld
from tests.support.instances import as_file, make_instances
from tests.unit.deid.originals import clean, describe, project


def refusal(change: Callable[[Dataset], None] | None = None, **attributes: object) -> str:
    """The reason for which a slice with ``attributes`` is withheld."""
    (slice_,) = make_instances(1, **attributes)
    if change:
        change(slice_)
    with pytest.raises(Withheld) as refused:
        clean(as_file(slice_))
    return refused.value.reason


@pytest.mark.parametrize(
    ("sop_class", "reason"),
    [
        (SecondaryCaptureImageStorage, "pixels-unproven"),
        (UltrasoundImageStorage, "pixels-unproven"),
        (BasicTextSRStorage, "pixels-unproven"),
        (EncapsulatedPDFStorage, "pixels-unproven"),
        (TwelveLeadECGWaveformStorage, "pixels-unproven"),
        (BasicVoiceAudioWaveformStorage, "waveform-content"),
        ("1.2.840.10008.5.1.4.1.1.88.2", "waveform-content"),
        (RawDataStorage, "unknown-sop-class"),
        ("1.2.840.113619.4.30", "unknown-sop-class"),
    ],
)
def test_kinds_of_objects_that_can_not_be_cleaned_yet(sop_class: str, reason: str) -> None:
    """The class decides, and an unknown one stays; so do pixels where an object of the class has none."""
    assert refusal(SOPClassUID=sop_class) == reason


def test_every_reason_is_explained_to_those_who_get_it() -> None:
    """docs/formats.md section 7."""
    page = (Path(__file__).resolve().parents[3] / "docs" / "formats.md").read_text()
    assert [reason for reason in Reason if f"| `{reason}` |" not in page] == []


def test_the_flag_is_believed_when_it_warns_and_not_when_it_calms() -> None:
    """Ultrasound says NO and has text."""
    assert refusal(BurnedInAnnotation="YES") == "burned-in"
    assert refusal(BurnedInAnnotation="NO", SOPClassUID=UltrasoundImageStorage) == "pixels-unproven"


@pytest.mark.parametrize(
    "attributes",
    [
        {"ImageType": ["DERIVED", "SECONDARY"]},
        {"ConversionType": "WSD"},
        {"PhotometricInterpretation": "RGB"},
    ],
)
def test_a_screenshot_in_the_clothes_of_a_cross_section(attributes: dict[str, object]) -> None:
    """Secondary, converted or coloured."""
    assert refusal(**attributes) == "pixels-unproven"


@pytest.mark.parametrize(("stored", "position"), [(16, 12), (12, 3), (12, 0), (12, 16), (0, 12)])
def test_an_overlay_that_cannot_be_cleared_from_the_pixels(stored: int, position: int) -> None:
    """PS3.5 section 8.1.2: it lies in bits of the image itself, or nowhere."""

    def plant(slice_: Dataset) -> None:
        slice_.BitsStored, slice_.HighBit = stored, max(stored - 1, 0)
        slice_.add_new(0x60000010, "US", 16)
        slice_.add_new(0x60000102, "US", position)

    assert refusal(plant) == "overlay-in-pixels"


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_an_overlay_in_unused_bits_of_the_pixels_is_cleared(syntax: str) -> None:
    """No attribute of the header holds it; the image's own bits stay as they are."""
    (slice_,) = make_instances(1, BitsStored=12, HighBit=11)
    slice_.file_meta.TransferSyntaxUID = syntax
    slice_.add_new(0x60020010, "US", 16)
    slice_.add_new(0x60020102, "US", 12)
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    image = (np.arange(256) * 15).astype(order + "u2")
    slice_.PixelData = (image | np.where(image % 2, 0x1000, 0).astype(order + "u2")).astype(order + "u2").tobytes()
    out = BytesIO()
    dcmwrite(out, slice_, implicit_vr=False, little_endian=order == "<", enforce_file_format=True)
    assert dcmread(BytesIO(clean(out.getvalue())[1])).PixelData == image.tobytes()


@pytest.mark.parametrize("sop_class", [CTImageStorage, BasicTextSRStorage])
def test_signals_that_do_not_belong_into_an_object(sop_class: str) -> None:
    """They may be a voice."""

    def plant(dataset: Dataset) -> None:
        dataset.WaveformSequence = [Item()]

    assert refusal(plant, SOPClassUID=sop_class) == "waveform-content"


def test_a_header_that_is_cut_short() -> None:
    """Nobody knows what it would have said."""
    file = as_file(make_instances(1)[0])
    told = describe(file)
    shorter = told.model_copy(update={"header_length": told.header_length - 3})
    with pytest.raises(Withheld) as refused:
        part10.clean_file(BytesIO(file), shorter, project(), BytesIO())
    assert refused.value.reason == "unreadable-header"


@pytest.mark.parametrize("size", [part10.HEADER_LIMIT + 2, 8])
def test_a_header_that_cannot_be_examined_with_bounded_memory(size: int) -> None:
    """Too long, or more physicians than a hospital has."""

    def plant(slice_: Dataset) -> None:
        if size > 8:
            slice_.add_new(0x00282000, "OB", bytes(size))
        else:
            slice_.OperatorsName = [f"Operator^{number}" for number in range(2000)]

    assert refusal(plant) == "too-large-to-inflate"


def test_a_deflated_object_that_grows_without_end() -> None:
    """Its size says nothing of what it inflates to."""
    (slice_,) = make_instances(1)
    slice_.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    slice_.PixelData = bytes(INFLATED_LIMIT)
    with pytest.raises(Withheld) as refused:
        clean(as_file(slice_))
    assert refused.value.reason == "too-large-to-inflate"


def test_anything_unforeseen_withholds_and_tells_nothing_of_the_input() -> None:
    """Fail closed: the cause of the failure may quote what was to be removed."""
    file = as_file(make_instances(1)[0])

    class Broken(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise ValueError("Kilmister^Ian")

    with pytest.raises(Withheld) as refused:
        part10.clean_file(Broken(file), describe(file), project(), BytesIO())
    assert refused.value.reason == "failed-to-clean"
    assert refused.value.__cause__ is None
    assert "Kilmister" not in str(refused.value)


def test_an_identifier_that_is_left_withholds() -> None:
    """The second look, in a place that the first does not clean: a class UID with the study's UID for a value."""

    def plant(slice_: Dataset) -> None:
        item = Item()
        item.ReferencedSOPClassUID = slice_.StudyInstanceUID
        slice_.SourceImageEvidenceSequence = [item]

    assert refusal(plant) == "identifier-left"
