"""What may show a face: told by class, body part, anatomic region and descriptions (PS3.15 section E.3.2)."""

from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes
from pydicom.uid import (
    BasicTextSRStorage,
    CTImageStorage,
    DermoscopicPhotographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
    MRImageStorage,
    OphthalmicPhotography8BitImageStorage,
    ParametricMapStorage,
    PositronEmissionTomographyImageStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    SurfaceSegmentationStorage,
    VLPhotographicImageStorage,
    XRay3DAngiographicImageStorage,
    XRay3DCraniofacialImageStorage,
)

from services.deid.domain.options import Option
from services.deid.domain.pictures.risk import refusal_of
from services.deid.domain.profile import Profile
from services.deid.domain.withholding import Reason, Withheld
from tests.support.instances import as_file, make_instances
from tests.unit.deid.originals import clean, trusting

ASKING = Profile("p", hold_faces=True)
OPTION = Profile("p", options=frozenset({Option.CLEAN_VISUAL_FEATURES}))
PART = "BodyPartExamined"
SECTIONS = (CTImageStorage, MRImageStorage, LegacyConvertedEnhancedPETImageStorage, ParametricMapStorage)
ANYTHING = (SecondaryCaptureImageStorage, SegmentationStorage, SurfaceSegmentationStorage, RTStructureSetStorage)


def out(sop_class: str, profile: Profile, **attributes: Any) -> Dataset | None:
    """What goes out of an object of a class that tells of no part but these, None when it is held for a face."""
    (slice_,) = make_instances(1, **{"SOPClassUID": sop_class, PART: "", **attributes})
    if sop_class == BasicTextSRStorage:
        del slice_.PixelData
    project = replace(trusting(profile=profile), refuse=refusal_of(profile, cleans_pixels=True))
    try:
        return dcmread(BytesIO(clean(as_file(slice_), project)[1]))
    except Withheld as refused:
        assert refused.code is Reason.FACE
        return None


def held(sop_class: str, profile: Profile = ASKING, **attributes: Any) -> bool:
    """Whether it is."""
    return out(sop_class, profile, **attributes) is None


def coded(value: str = "", meaning: str = "", scheme: str = "SCT") -> list[Dataset]:
    """A sequence of one code."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return [item]


@pytest.mark.parametrize(
    "part",
    [
        "HEAD", "HEAD AND NECK", "HEAD/NECK", "HEADS", "CT HEAD", "BRAIN W", "KOPF", "ORBITS", "SINUSES", "WHOLEBODY",
        "HEADNECKCHEST", "NECKCHEST", "NECKCHESTABDPELV", "CEREBELLUM", "MOUTH", "TONGUE", "PAROTID", "ZYGOMA", "CHEEK",
        "FOREHEAD", "SCALP", "EYELID", "SELLA", "TEMPORALBONE", "CSPINE", "CAROTID", "CIRCLEWILLIS", "LARYNX",
        "PHARYNX", "OPTICCANAL", "MASTOID", "", "SPINE", "OTHER",
    ],
)  # fmt: skip
def test_a_part_with_a_face_is_held_however_it_is_written(part: str) -> None:
    """And so is one that nobody knows, or none."""
    assert held(CTImageStorage, **{PART: part})


@pytest.mark.parametrize(
    "part", ["CHEST", "ABDOMENPELVIS", "CHESTABDPELVIS", "LSPINE", "KNEE", "CORONARYARTERY", "UTERUS"]
)
def test_a_part_without_a_face_goes_out(part: str) -> None:
    for sop_class in (*SECTIONS, *ANYTHING):
        assert not held(sop_class, **{PART: part})


@pytest.mark.parametrize(
    ("description", "is_held"),
    [
        ("CT abdomen pelvis with contrast", False),
        ("CHEST for KILMISTER", False),
        ("Thorax_std_1.5", False),
        ("Hip, femoral head necrosis", False),
        ("chest head first supine", False),
        ("Mammography, craniocaudal", False),
        ("UPPER ABDOMEN W/O", False),
        ("T/L-Spine", False),
        ("C/T/L-Spine, lumbar", True),
        ("PET skull base to mid-thigh", True),
        ("PET to mid-thigh", True),
        ("fMRI hand", True),
        ("T2 tse coronar", True),
        ("Ganzkörper", True),
        ("MR Schädel", True),
        ("test", True),
    ],
)
def test_without_a_part_descriptions_tell(description: str, is_held: bool) -> None:
    """Whole words count, and what says how the patient lies is no part. Nothing known is held."""
    for keyword in ("StudyDescription", "SeriesDescription", "ProtocolName", "RequestedProcedureDescription"):
        assert held(MRImageStorage, **{keyword: description, "SpecificCharacterSet": "ISO_IR 192"}) is is_held


@pytest.mark.parametrize(
    ("charset", "description", "is_held"),
    [
        ("ISO_IR 100", "Schädel", True),
        ("ISO 2022 IR 6\\ISO 2022 IR 87", "頭部", True),
        ("ISO_IR 192", "胸部", False),
        ("ISO_IR 144", "Голова", True),
        ("GB18030", "颅脑平扫", True),
        ("ISO 2022 IR 6\\ISO 2022 IR 149", "두부", True),
    ],
)
def test_descriptions_are_read_in_their_character_set(charset: str, description: str, is_held: bool) -> None:
    found = {"SpecificCharacterSet": charset.split("\\"), "StudyDescription": f"CT {description}"}
    assert held(CTImageStorage, **found) is is_held


def test_any_word_of_a_face_counts_more_than_a_part_without_one() -> None:
    """A study may have more parts than a series says."""
    assert held(CTImageStorage, BodyPartExamined="CHEST", SeriesDescription="Brain w/o")
    assert held(CTImageStorage, BodyPartExamined="CHEST", AnatomicRegionSequence=coded("69536005", "Head"))


def test_the_name_of_a_patient_tells_of_no_part() -> None:
    """Mr Hand's head is a head."""
    assert held(MRImageStorage, PatientName="Hand^Learned", StudyDescription="MR for Hand")
    assert not held(MRImageStorage, PatientName="Hand^Learned", StudyDescription="MR knee for Hand")


def test_regions_tell_by_their_code_whatever_they_say_that_it_means() -> None:
    """CID 4028 Craniofacial Anatomic Region, all of it; the trachea, which has no face, is not known either."""
    for name in codes.cid4028.dir():
        concept = getattr(codes.cid4028, name)
        assert held(CTImageStorage, AnatomicRegionSequence=coded(concept.value, "?", concept.scheme_designator)), name
    assert not held(CTImageStorage, AnatomicRegionSequence=coded("51185008", "?"))
    assert held(CTImageStorage, AnatomicRegionSequence=coded("1", "Head", "99LOCAL"))
    assert not held(CTImageStorage, AnatomicRegionSequence=coded("1", "Thorax of Kilmister", "99LOCAL"))


def test_the_frames_of_an_enhanced_image_tell_too() -> None:
    """Frame Anatomy Sequence of the functional groups (PS3.3 section C.7.6.16.2.8)."""
    for region, is_held in ((("69536005", "Head"), True), (("51185008", "Thorax"), False)):
        anatomy, groups = Dataset(), Dataset()
        anatomy.AnatomicRegionSequence = coded(*region)
        groups.FrameAnatomySequence = [anatomy]
        assert held(EnhancedCTImageStorage, SharedFunctionalGroupsSequence=[groups]) is is_held


@pytest.mark.parametrize(
    ("sop_class", "of_a_head", "of_nothing"),
    [
        (VLPhotographicImageStorage, True, True),
        (DermoscopicPhotographyImageStorage, True, True),
        (PositronEmissionTomographyImageStorage, True, True),
        (LegacyConvertedEnhancedPETImageStorage, True, True),
        (XRay3DAngiographicImageStorage, True, True),
        (XRay3DCraniofacialImageStorage, True, True),
        (SecondaryCaptureImageStorage, True, False),
        (SurfaceSegmentationStorage, True, False),
        (SegmentationStorage, True, False),
        (RTStructureSetStorage, True, False),
        (DigitalXRayImageStorageForPresentation, False, False),
        (OphthalmicPhotography8BitImageStorage, False, False),
        (BasicTextSRStorage, False, False),
    ],
)
def test_what_is_held_is_a_matter_of_the_class(sop_class: str, of_a_head: bool, of_nothing: bool) -> None:
    """A photograph or volume that tells nothing may be of a face; a capture or mask is held where it tells of one."""
    assert held(sop_class, BodyPartExamined="FACE") is of_a_head
    assert held(sop_class) is of_nothing
    assert not held(sop_class, profile=Profile("p"), BodyPartExamined="FACE")


def test_what_says_that_a_person_is_recognised_is_held_whatever_its_class() -> None:
    """Recognizable Visual Features (0028,0302) is believed when it warns, and only then."""
    assert held(DigitalXRayImageStorageForPresentation, BodyPartExamined="CHEST", RecognizableVisualFeatures="YES")
    assert held(CTImageStorage, BodyPartExamined="HEAD", RecognizableVisualFeatures="NO")


def test_the_option_holds_what_may_show_a_face_and_says_no_of_all_others() -> None:
    """PS3.15 section E.3.2: nothing recognisable is in what goes out, so the code and NO are true."""
    assert held(CTImageStorage, OPTION, BodyPartExamined="HEAD")
    image = out(CTImageStorage, OPTION, BodyPartExamined="CHEST")
    assert image is not None
    assert [code.CodeValue for code in image.DeidentificationMethodCodeSequence] == ["113100", "113102"]
    assert image.RecognizableVisualFeatures == "NO"
    plain = out(CTImageStorage, ASKING, BodyPartExamined="CHEST")
    assert plain is not None and "RecognizableVisualFeatures" not in plain


def test_the_option_holds_what_may_be_of_anything_and_eyes() -> None:
    """NO is said of what is known only: a capture that tells no part may show a face, and an iris tells who it is."""
    for sop_class in ANYTHING:
        assert held(sop_class, OPTION)
        assert not held(sop_class, OPTION, BodyPartExamined="CHEST")
    assert held(OphthalmicPhotography8BitImageStorage, OPTION, BodyPartExamined="CHEST")


def test_what_a_person_lets_out_with_a_face_does_not_say_that_it_has_none() -> None:
    """An approval lifts the rule, and hides nothing."""
    (slice_,) = make_instances(1, BodyPartExamined="HEAD")
    approved = dcmread(BytesIO(clean(as_file(slice_), replace(trusting(profile=OPTION), approved=True))[1]))
    assert [code.CodeValue for code in approved.DeidentificationMethodCodeSequence] == ["113100"]
    assert "RecognizableVisualFeatures" not in approved


def test_an_object_without_pixels_has_the_code_and_no_attribute_that_it_has_not() -> None:
    """A report shows nobody; Recognizable Visual Features belongs to images and documents."""
    (report,) = make_instances(1, SOPClassUID=BasicTextSRStorage)
    del report.PixelData
    found = dcmread(BytesIO(clean(as_file(report), trusting(profile=OPTION))[1]))
    assert [code.CodeValue for code in found.DeidentificationMethodCodeSequence] == ["113100", "113102"]
    assert "RecognizableVisualFeatures" not in found
