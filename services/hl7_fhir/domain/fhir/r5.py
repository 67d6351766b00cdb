"""ImagingStudy of R5 (5.0.0) from that of R4: what the structure definitions changed between them.

Codings became concepts; procedures and reasons are references or concepts in one element; the interpreter is gone
(https://hl7.org/fhir/R5/imagingstudy.html, differences to R4). ``partOf`` is new and never filled by us.
"""

from collections.abc import Iterable
from typing import Any

from services.hl7_fhir.domain.fhir.documents import Json

_GONE = frozenset(("interpreter", "procedureReference", "procedureCode", "reasonCode", "reasonReference"))


def imaging_study(r4: Json) -> Json:
    """The R5 resource of an R4 ImagingStudy, with id and meta as they are."""
    study = {name: value for name, value in r4.items() if name not in _GONE and name.removeprefix("_") not in _GONE}
    _put(study, "modality", [_concept(each) for each in r4.get("modality", ())])
    procedures = [r4["procedureReference"]] if "procedureReference" in r4 else []
    _put(study, "procedure", _codeable_references(r4.get("procedureCode", ()), procedures))
    _put(study, "reason", _codeable_references(r4.get("reasonCode", ()), r4.get("reasonReference", ())))
    _put(study, "series", [_series(each) for each in r4.get("series", ())])
    return study


def _series(r4: Json) -> Json:
    series = dict(r4)
    for name in ("modality", "laterality"):
        if name in r4:
            series[name] = _concept(r4[name])
    if "bodySite" in r4:
        series["bodySite"] = {"concept": _concept(r4["bodySite"])}
    return series


def _concept(coding: Json) -> Json:
    return {"coding": [coding]}


def _codeable_references(concepts: Iterable[Json], references: Iterable[Json]) -> list[Json]:
    return [*({"concept": each} for each in concepts), *({"reference": each} for each in references)]


def _put(study: Json, name: str, found: list[Any]) -> None:
    if found:
        study[name] = found
