"""Whom one object of a study names is searched for in all others of it."""

from collections.abc import Iterable
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread

from services.deid.domain.candidate import candidate_of
from services.deid.domain.identifiers import Identifiers
from services.deid.domain.known_values import Noted
from services.deid.domain.names import (
    MOST_DATES,
    MOST_VALUES,
    NOBODY,
    TOO_MANY,
    Names,
    parse_studies,
    together,
    write_studies,
)
from services.deid.domain.options import Option
from services.deid.domain.packing import CleanPack, clean_pack
from services.deid.domain.part10 import Project, clean_file, named_in
from services.deid.domain.spelled import MOST
from services.deid.domain.withholding import Reason, Withheld
from tests.support.instances import as_file, make_instances
from tests.unit.deid.originals import choosing, describe
from tests.unit.deid.test_packing import original, workspace

NOT_NAMED = {"PatientName": "", "PatientID": "", "AccessionNumber": "", "PatientBirthDate": ""}
STUDY = "2.25.1234567"


def named(**attributes: Any) -> bytes:
    """A slice of the study that names Mary Brown."""
    own = {"PatientName": "Brown^Mary", "PatientID": "4711081533", "AccessionNumber": "7654321"}
    return as_file(*make_instances(1, study_uid=STUDY, **own | attributes))


def written(study: str = STUDY, **attributes: Any) -> bytes:
    """A slice that names nobody, the seventh."""
    (image,) = make_instances(1, study_uid=study, **NOT_NAMED | attributes)
    image.InstanceNumber = 7
    return as_file(image)


def project() -> Project:
    """Whose texts are cleaned, and who retains UIDs."""
    return choosing(Option.CLEAN_DESCRIPTORS, Option.RETAIN_UIDS, Option.SAFE_PRIVATE)


def packed(*files: bytes, using: Project | None = None) -> CleanPack:
    return clean_pack("pack", [original(file) for file in files], using or project(), workspace())


def cleaned(pack: CleanPack) -> list[bytes]:
    found = []
    for one in pack.released:
        pack.workspace.cleaned.seek(one.file.offset)
        found.append(pack.workspace.cleaned.read(one.file.length))
    return found


def of_nobody(files: Iterable[bytes]) -> Dataset:
    """The slice that names nobody, as it goes out."""
    (found,) = (each for each in (dcmread(BytesIO(file)) for file in files) if each.InstanceNumber == 7)
    return found


@pytest.mark.parametrize(
    ("keyword", "value", "left"),
    [
        ("ConvolutionKernel", "BROWN", None),
        ("SeriesDescription", "Brown fat knee", "fat knee"),
        ("SeriesDescription", "knee of 4711-0815-33", "knee"),
        ("ManufacturerModelName", "Model 7654321", "Model"),
    ],
)
def test_who_is_named_in_one_object_goes_out_of_the_texts_of_all(keyword: str, value: str, left: str | None) -> None:
    about = written(**{keyword: value})
    for files in ((named(), about), (about, named())):
        assert of_nobody(cleaned(packed(*files))).get(keyword) == left


def test_another_study_is_searched_for_nothing_of_it() -> None:
    """A name in a pack is no reason to lose words of other people."""
    elsewhere = written(study="2.25.99", ConvolutionKernel="BROWN")
    assert of_nobody(cleaned(packed(named(), elsewhere))).ConvolutionKernel == "BROWN"


def test_a_retained_uid_that_holds_a_number_of_another_object_does_not_go_out() -> None:
    """As where the object's own header names it."""
    about = written(FrameOfReferenceUID="1.2.3.7654321.5")
    assert packed(about).held == ()
    (held,) = packed(named(), about).held
    assert held.reason is Reason.IDENTIFIER_LEFT


def test_whom_an_object_that_stays_here_names_counts_as_well() -> None:
    """What is withheld is seen by nobody, but what is written of it elsewhere would be."""

    def refuse(elements: Any) -> Reason | None:
        return Reason.PIXELS_UNPROVEN if any(each.value.strip() == b"Brown^Mary" for each in elements) else None

    pack = packed(named(), written(ConvolutionKernel="BROWN"), using=replace(project(), refuse=refuse))
    assert len(pack.held) == 1
    assert "ConvolutionKernel" not in of_nobody(cleaned(pack))


def test_the_second_look_looks_for_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where cleaning overlooks it, the object is held back, and the rest goes."""
    monkeypatch.setattr(Identifiers, "note_names", lambda *_: None)
    for kernel, kind in (("BROWN", "name"), ("KESTREL", "identifier")):
        others = [named(PatientID="KESTREL") for _ in range(4)]
        pack = packed(*others[:2], written(ConvolutionKernel=kernel), *others[2:])
        (held,) = pack.held
        assert (held.reason, len(pack.released)) == (Reason.SECOND_LOOK, 4), kind
        assert {each.kind for each in pack.held_record(held).findings} == {kind}


def test_of_what_is_withheld_a_retry_knows_whom_the_others_name() -> None:
    """They are no longer at hand by then."""
    file = written(ConvolutionKernel="BROWN")
    studies = parse_studies(write_studies(packed(named(), file).studies))
    for known, kernel in (({}, "BROWN"), (studies, None)):
        made = candidate_of("part", describe(file), [lambda: iter([file])], project(), workspace(), known)
        assert of_nobody(cleaned(made.pack)).get("ConvolutionKernel") == kernel


def test_too_many_names_of_all_together_hold_back_the_study() -> None:
    """Each object alone names few enough."""
    files = [named(OtherPatientIDs="\\".join(f"{n}{k:08d}" for k in range(300))) for n in "123"]
    assert all(packed(file).held == () for file in files)
    pack = packed(*files, written())
    assert [held.reason for held in pack.held] == [Reason.TOO_LARGE] * 4


def test_an_object_that_alone_names_too_many_holds_back_its_study() -> None:
    """Nobody could say that what it names is in no other."""
    pack = packed(named(OtherPatientIDs="\\".join(f"1{k:08d}" for k in range(MOST // 8))), written())
    assert [held.reason for held in pack.held] == [Reason.TOO_LARGE] * 2


# Values that names and numbers of others may be in, whole or in pieces, and words that stay.
WORDS = st.sampled_from(
    ["BROWN", "Long bone", "knee", "4711081533", "axial Stern", "B-7654321", "SOFT", "20240312", ""]
)
PEOPLE = st.sampled_from(["", "Brown^Mary", "Stern^Long", "Bone^B", "Ax^Ial^Soft"])
NUMBERS = st.sampled_from(["", "4711081533", "7654321", "0815", "20240312"])
OBJECTS = st.fixed_dictionaries(
    {
        "PatientName": PEOPLE,
        "OperatorsName": PEOPLE,
        "PatientID": NUMBERS,
        "DeviceSerialNumber": NUMBERS,
        "StudyDate": st.sampled_from(["", "20240312", "20240313"]),
        "PatientBirthDate": st.sampled_from(["", "20240312", "19500131"]),
        "ConvolutionKernel": WORDS,
        "SeriesDescription": WORDS,
        "StudyInstanceUID": st.sampled_from([STUDY, STUDY, "2.25.99"]),
        "FrameOfReferenceUID": st.sampled_from(["1.2.3.7654321.5", "1.2.3.4", "1.2.20240312.3"]),
    }
)
PROFILES = st.lists(st.sampled_from(sorted(set(Option) - {Option.CLEAN_PIXEL_DATA})), unique=True, max_size=4)


def files_of(objects: list[dict[str, str]]) -> list[bytes]:
    made = make_instances(len(objects))
    for image, attributes in zip(made, objects, strict=True):
        for keyword, value in attributes.items():
            setattr(image, keyword, value)
    return [as_file(image) for image in made]


def outcome(file: bytes, using: Project, study: Names) -> bytes | Reason:
    sink = BytesIO()
    try:
        clean_file(BytesIO(file), describe(file), using, sink, study=study)
    except Withheld as refused:
        return refused.code
    found = using.look.at(BytesIO(file), sink, (), study)
    return Reason.SECOND_LOOK if found else sink.getvalue()


def study_of(file: bytes, files: Iterable[bytes], using: Project) -> Names:
    """What the objects of a file's study name, each read by itself."""
    uid, names = dcmread(BytesIO(file)).StudyInstanceUID, NOBODY
    for each in (named_in(BytesIO(each), describe(each), using) for each in files):
        names = together(names, each.names) if each.study == uid else names
    return names


@settings(max_examples=30)
@given(st.lists(OBJECTS, min_size=2, max_size=3), PROFILES)
def test_a_pack_is_what_each_object_is_when_it_is_searched_for_all_of_its_study(
    objects: list[dict[str, str]], options: list[Option]
) -> None:
    """Whatever came before, in whatever order."""
    files, reading, cleaning = files_of(objects), choosing(*options), choosing(*options)
    alone = [outcome(file, cleaning, study_of(file, files, reading)) for file in files]
    expected = sorted(each for each in alone if isinstance(each, bytes))
    for order in (files, files[::-1]):
        pack = packed(*order, using=choosing(*options))
        assert sorted(cleaned(pack)) == expected
        assert sorted(held.reason for held in pack.held) == sorted(e for e in alone if isinstance(e, Reason))


@settings(max_examples=60)
@given(OBJECTS, PROFILES)
def test_an_object_alone_is_cleaned_as_if_there_were_no_study(
    attributes: dict[str, str], options: list[Option]
) -> None:
    """What its own header names is searched for once."""
    (file,) = files_of([attributes])
    own = study_of(file, [file], choosing(*options))
    assert outcome(file, choosing(*options), NOBODY) == outcome(file, choosing(*options), own)


NOTED = st.builds(Noted, st.just(0x00100020), st.just("LO"), st.binary(max_size=12), st.just(("ISO_IR 100",)))
NAMES = st.builds(
    Names, st.frozensets(NOTED, max_size=3), *[st.frozensets(st.sampled_from(["20240312", "19500131"]))] * 2
)


@given(NAMES, NAMES, NAMES)
def test_names_are_put_together_in_any_order_and_written_and_read(one: Names, two: Names, three: Names) -> None:
    assert together(together(one, two), three) == together(three, together(two, one))
    assert parse_studies(write_studies({STUDY: one, "": TOO_MANY})) == {STUDY: one, "": TOO_MANY}


def test_what_is_kept_of_a_study_is_bounded() -> None:
    """However many objects it has."""
    names = NOBODY
    for number in range(2 * MOST_VALUES // 8):
        names = together(names, Names(frozenset([Noted(0, "PN", b"%08d" % number, ())])))
    assert names == TOO_MANY
    days = Names(dates=frozenset(f"{number:08d}" for number in range(MOST_DATES + 1)))
    assert together(NOBODY, days) == together(days, Names(retained=frozenset(["1"]))) == TOO_MANY
