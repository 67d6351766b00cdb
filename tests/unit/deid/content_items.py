"""Content items for the tests of structured reports."""

from dataclasses import replace
from io import BytesIO
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.uid import ComprehensiveSRStorage

from services.deid.domain.options import Option
from services.deid.domain.part10 import Project
from services.deid.domain.profile import Profile
from tests.support.instances import as_file, make_instances
from tests.unit.deid.originals import clean, project

NAME, NUMBER = "Kilmister", "MRN8472655"
STRUCTURED = Option.CLEAN_STRUCTURED_CONTENT


def using(*options: Option) -> Project:
    """A project whose profile has these options."""
    return replace(project(), profile=Profile("x", options=frozenset(options)))


def code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def content_item(kind: str, name: tuple[str, str, str], attributes: dict[str, Any], below: list[Dataset]) -> Dataset:
    """A content item of a value type."""
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", kind
    item.ConceptNameCodeSequence = [code(*name)]
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    if below:
        item.ContentSequence = below
    return item


def measured(value: str, unit: str) -> dict[str, Any]:
    measurement = Dataset()
    measurement.NumericValue = value
    measurement.MeasurementUnitsCodeSequence = [code(unit, "UCUM", unit)]
    return {"MeasuredValueSequence": [measurement]}


def reference(uid: str) -> dict[str, Any]:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", uid
    return {"ReferencedSOPSequence": [item]}


def report(content: list[Dataset]) -> Dataset:
    """A comprehensive report of the patient."""
    (dataset,) = make_instances(1, SOPClassUID=ComprehensiveSRStorage, PatientName=f"{NAME}^Ian", PatientID=NUMBER)
    dataset.PatientBirthDate = "19451224"
    del dataset.PixelData
    dataset.ValueType, dataset.ContinuityOfContent = "CONTAINER", "SEPARATE"
    dataset.ConceptNameCodeSequence = [code("126000", "DCM", "Imaging Measurement Report")]
    dataset.ContentSequence = content
    return dataset


def cleaned(content: list[Dataset], *options: Option) -> Dataset:
    """The report that goes out."""
    return dcmread(BytesIO(clean(as_file(report(content)), using(*options))[1]))
