"""Structured reports: whatever a content tree says and however deep, it comes out clean and stays a tree."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread

from services.deid.domain.content.concepts import Concept, Fate, standard_concepts
from services.deid.domain.options import Option
from services.deid.domain.profile import Profile
from tests.support.instances import as_file
from tests.unit.deid.content_items import (
    NAME,
    NUMBER,
    STRUCTURED,
    cleaned,
    code,
    content_item,
    measured,
    reference,
    report,
    using,
)
from tests.unit.deid.originals import clean

PLANTED = (NAME, NUMBER, "847-2655", "1945-12-24", "19451224")
CODES = st.sampled_from(
    [
        ("121071", "DCM", "Finding"),
        ("121030", "DCM", "Subject ID"),
        ("121033", "DCM", "Subject Age"),
        ("121032", "DCM", "Subject Sex"),
        ("121000", "DCM", "Unique Device Identifiers"),
        ("121106", "DCM", "Comment"),
        ("410668003", "SCT", "Length"),
        (NUMBER, "99LOCAL", f"Nodule of {NAME}"),
        ("1", NAME, NUMBER),
    ]
)
TEXTS = st.sampled_from([NAME, f"Mr. {NAME}, MRN 847-2655", f"{NUMBER}: born 1945-12-24", "", "TEXT", "Nodule"])
NAMES, UIDS = st.sampled_from([f"{NAME}^Ian", "", "Other^Person"]), st.sampled_from(["1.2.3.4", "1.2.840.113619.7"])
DATES = st.sampled_from(["19451224", "20200102", ""])


VALUES = st.one_of(
    st.tuples(st.just("TEXT"), st.builds(lambda text: {"TextValue": text}, TEXTS)),
    st.tuples(st.just("PNAME"), st.builds(lambda name: {"PersonName": name}, NAMES)),
    st.tuples(st.just("UIDREF"), st.builds(lambda uid: {"UID": uid}, UIDS)),
    st.tuples(st.just("DATE"), st.builds(lambda date: {"Date": date}, DATES)),
    st.tuples(st.just("TIME"), st.just({"Time": "101112"})),
    st.tuples(st.just("DATETIME"), st.just({"DateTime": "19451224101112"})),
    st.tuples(st.just("NUM"), st.builds(measured, st.just("71.8"), st.sampled_from(["mm", NAME]))),
    st.tuples(st.just("CODE"), st.builds(lambda named: {"ConceptCodeSequence": [code(*named)]}, CODES)),
    st.tuples(st.sampled_from(["IMAGE", "COMPOSITE", "WAVEFORM"]), st.builds(reference, UIDS)),
    st.tuples(st.just("CONTAINER"), st.just({"ContinuityOfContent": "SEPARATE"})),
    st.tuples(st.just(NAME.upper()), st.builds(lambda text: {"TextValue": text, "PersonName": NAME}, TEXTS)),
)


def _item(value: tuple[str, dict[str, Any]], name: tuple[str, str, str], below: list[Dataset]) -> Dataset:
    return content_item(value[0], name, value[1], below)


ITEMS = st.recursive(
    st.builds(_item, VALUES, CODES, st.just([])),
    lambda inner: st.builds(_item, VALUES, CODES, st.lists(inner, max_size=3)),
    max_leaves=12,
)


@given(
    st.lists(ITEMS, min_size=1, max_size=4),
    st.sampled_from([(), (STRUCTURED,), (STRUCTURED, Option.CLEAN_DESCRIPTORS)]),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_nothing_of_the_patient_stays_in_any_tree(content: list[Dataset], options: tuple[Option, ...]) -> None:
    """In any value type, below any concept, at any depth, under any options."""
    out = clean(as_file(report(content)), using(*options))[1]
    for planted in PLANTED:
        assert planted.lower().encode() not in out.lower()
    read = dcmread(BytesIO(out))
    assert read.ContentSequence
    if options:
        assert shape(read.ContentSequence) == shape(content)


def shape(items: Any) -> list[Any]:
    """A tree without its values: references by position stay right (PS3.3 section C.17.3.2.5)."""
    return [shape(item.get("ContentSequence", [])) for item in items]


def test_measurements_and_codes_of_published_schemes_stay() -> None:
    """What a report is for."""
    finding = content_item("TEXT", ("121071", "DCM", "Finding"), {"TextValue": NAME}, [])
    length = content_item("NUM", ("410668003", "SCT", "Length"), measured("71.8", "mm"), [finding])
    out = cleaned([length], STRUCTURED).ContentSequence[0]
    assert out.MeasuredValueSequence[0].NumericValue == 71.8
    assert out.ConceptNameCodeSequence[0].CodeMeaning == "Length"
    assert out.ContentSequence[0].TextValue == "REMOVED"


def test_concepts_that_say_who_the_patient_is_lose_their_values() -> None:
    """Table E.3.4-1: a birth date under no option, age and sex only where characteristics are retained."""
    items = [
        content_item("DATE", ("121031", "DCM", "Subject Birth Date"), {"Date": "20200102"}, []),
        content_item("NUM", ("121033", "DCM", "Subject Age"), measured("45", "a"), []),
        content_item("CODE", ("121032", "DCM", "Subject Sex"), {"ConceptCodeSequence": [code("M", "DCM", "Male")]}, []),
    ]
    birth, age, sex = cleaned(items, STRUCTURED).ContentSequence
    assert birth.Date == "19000101"
    assert len(age.MeasuredValueSequence) == 0
    assert sex.ConceptCodeSequence[0].CodeMeaning == "Unknown"
    _, age, sex = cleaned(items, STRUCTURED, Option.PATIENT_CHARACTERISTICS).ContentSequence
    assert age.MeasuredValueSequence[0].NumericValue == 45
    assert sex.ConceptCodeSequence[0].CodeMeaning == "Male"


def test_a_container_that_goes_takes_along_what_is_in_it() -> None:
    """Unique Device Identifiers, without Retain Device Identity."""
    inner = content_item("TEXT", ("1", "99X", "Lot"), {"TextValue": "Nodule"}, [])
    container = content_item("CONTAINER", ("121000", "DCM", "Unique Device Identifiers"), {}, [inner])
    assert cleaned([container], STRUCTURED).ContentSequence[0].ContentSequence[0].TextValue == "REMOVED"


def test_without_the_option_only_references_are_left() -> None:
    """Code D of the Basic Profile: a key object selection still points to its images."""
    image = content_item("IMAGE", ("121112", "DCM", "Source of Measurement"), reference("1.2.3.4"), [])
    text = content_item("TEXT", ("121071", "DCM", "Finding"), {"TextValue": "Nodule"}, [])
    (left,) = cleaned([text, image]).ContentSequence
    assert left.ValueType == "IMAGE"
    assert left.ReferencedSOPSequence[0].ReferencedSOPInstanceUID.startswith("2.25.")
    (only,) = cleaned([text]).ContentSequence
    assert (only.ValueType, only.TextValue) == ("TEXT", "REMOVED")


def test_a_form_that_was_not_filled_in_names_nobody() -> None:
    """An observer called Text: the tree would be none without its words, and no person has that name."""
    items = [
        content_item("PNAME", ("121008", "DCM", "Person Observer Name"), {"PersonName": "Enter text"}, []),
        content_item("TEXT", ("121071", "DCM", "Finding"), {"TextValue": "seen"}, []),
    ]
    assert [each.ValueType for each in cleaned(items, STRUCTURED).ContentSequence] == ["PNAME", "TEXT"]


def test_a_person_called_like_another_word_of_the_tree_is_not_found_in_it() -> None:
    """Date is a family name; the word of the standard is a coincidence, and says nothing of whoever has it."""
    items = [
        content_item("PNAME", ("121008", "DCM", "Person Observer Name"), {"PersonName": "Date^Masamune"}, []),
        content_item("DATE", ("126201", "DCM", "Acquisition"), {"Date": "20200102"}, []),
    ]
    observer, acquired = cleaned(items, STRUCTURED).ContentSequence
    assert (observer.PersonName, acquired.ValueType) == ("REMOVED", "DATE")


@pytest.mark.parametrize(
    ("concept", "options", "fate"),
    [
        (("DCM", "121071", "TEXT"), (), Fate.DUMMY),
        (("DCM", "121071", "TEXT"), (Option.CLEAN_DESCRIPTORS,), Fate.CLEAN),
        (("DCM", "121012", "UIDREF"), (Option.DEVICE_IDENTITY,), Fate.KEEP),
        (("DCM", "126201", "DATE"), (Option.FULL_DATES,), Fate.KEEP),
        (("DCM", "126201", "DATE"), (Option.MODIFIED_DATES,), Fate.CLEAN),
        (("SCT", "410668003", "NUM"), (), Fate.UNLISTED),
    ],
)
def test_the_table_says_what_becomes_of_a_concept(
    concept: tuple[str, str, str], options: tuple[Option, ...], fate: Fate
) -> None:
    """PS3.15 Table E.3.4-1."""
    assert standard_concepts().fate(Concept(*concept), Profile("x", options=frozenset(options))) is fate


def test_real_reports_stay_trees(corpus: Path) -> None:
    """TID 1500, dose, text reports of several makers."""
    seen = 0
    for path in sorted(corpus.glob("dicom/**/*sr*.dcm")) + sorted(corpus.glob("dicom/**/*SR.dcm")):
        source = dcmread(path, force=True)
        if "ContentSequence" not in source:
            continue
        read = dcmread(BytesIO(clean(path.read_bytes(), using(STRUCTURED))[1]))
        assert shape(read.ContentSequence) == shape(source.ContentSequence), path.name
        seen += 1
    assert seen >= 4
