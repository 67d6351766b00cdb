"""Two judges of a FHIR resource: fhir.resources (R4B models), and HL7's JSON Schema of 4.0.1 where the corpus is."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fhir.resources.R4B import get_fhir_model_class

from tests.support.corpus import data_dir


def assert_valid(resource: dict[str, Any]) -> None:
    """Fail unless every judge that is here accepts ``resource``."""
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    if (definitions := _definitions()) is not None:
        schema = {"$ref": f"#/definitions/{resource['resourceType']}", "definitions": definitions}
        problems = list(jsonschema.Draft6Validator(schema).iter_errors(resource))
        assert not problems, [f"{list(problem.absolute_path)}: {problem.validator}" for problem in problems]


@cache
def _definitions() -> dict[str, Any] | None:
    try:
        path: Path = data_dir() / "standard" / "fhir_r4" / "fhir.schema.json"
    except pytest.skip.Exception:
        return None
    definitions: dict[str, Any] = json.loads(path.read_text())["definitions"]
    return definitions
