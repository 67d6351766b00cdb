"""A contract once released is never broken: old messages are readable by new code, and new by old."""

import copy
import json
from collections.abc import Callable
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from contracts.compatibility import breaks
from contracts.events import BY_SUBJECT, EVENTS, Event
from contracts.freeze import FOLDER, load, revisions, schema_of
from shared.messaging.cloudevent import decode, encode
from tests.contract.samples import MESSAGES, sample

FROZEN = [(event, path) for event in EVENTS for path in revisions(event.subject)]
FORMATS = FormatChecker()
#: jsonschema checks RFC 3339 only with another package.
FORMATS.checks("date-time", raises=ValueError)(lambda text: datetime.fromisoformat(text).tzinfo is not None)
ENVELOPE = Draft202012Validator(load(FOLDER / "cloudevent.json"), format_checker=FORMATS)


def named(value: object) -> str:
    """Readable test ids."""
    return value.stem if isinstance(value, Path) else getattr(value, "subject", "")


def golden(path: Path) -> dict[str, Any]:
    """The golden message of a schema revision."""
    return json.loads((MESSAGES / path.name).read_text(encoding="utf-8"))


def required_only(schema: dict[str, Any], data: Any, root: dict[str, Any]) -> Any:
    """The data without its optional properties, at every depth."""
    if "$ref" in schema:
        return required_only(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], data, root)
    if isinstance(data, list):
        return [required_only(schema["items"], each, root) for each in data]
    if isinstance(data, dict):
        return {name: required_only(schema["properties"][name], data[name], root) for name in schema["required"]}
    return data


def common(old: Any, new: Any) -> Any:
    """What of ``new`` stands where ``old`` has something, at every depth: facts within an event grow like the event."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {name: common(old[name], new[name]) for name in old if name in new}
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [common(one, other) for one, other in zip(old, new, strict=True)]
    return new


@pytest.mark.parametrize(("event", "path"), FROZEN, ids=named)
def test_an_old_message_is_read_by_new_code_without_loss(event: type[Event], path: Path) -> None:
    """Every value of a message that was once sent is where it was."""
    message = golden(path)
    read = decode(json.dumps(message).encode(), event)
    again = json.loads(encode(read))
    assert common(message["data"], again["data"]) == message["data"]
    assert again["id"] == message["id"]


@pytest.mark.parametrize(("event", "path"), FROZEN, ids=named)
def test_an_old_message_without_optional_values_is_read_by_new_code(event: type[Event], path: Path) -> None:
    """The smallest message that a schema ever allowed."""
    schema, message = load(path), golden(path)
    decode(json.dumps(message | {"data": required_only(schema, message["data"], schema)}).encode(), event)


@pytest.mark.parametrize(("event", "path"), FROZEN, ids=named)
def test_a_new_message_is_read_by_old_code(event: type[Event], path: Path) -> None:
    """What today's model writes satisfies every schema that was ever published, strictly."""
    new = event.model_validate(sample(schema_of(event))).model_dump(mode="json")
    Draft202012Validator(load(path), format_checker=FORMATS).validate(new)


@pytest.mark.parametrize("event", EVENTS, ids=named)
def test_no_revision_breaks_an_earlier_one(event: type[Event]) -> None:
    """Between any two published revisions, and between each and the model."""
    schemas = [*(load(path) for path in revisions(event.subject)), schema_of(event)]
    assert [found for old, new in combinations(schemas, 2) for found in breaks(old, new)] == []


@pytest.mark.parametrize(("event", "path"), FROZEN, ids=named)
def test_every_message_fits_the_envelope(event: type[Event], path: Path) -> None:
    """Those of old, and those that today's code writes."""
    ENVELOPE.validate(golden(path))
    read = decode(json.dumps(golden(path)).encode(), event)
    ENVELOPE.validate(json.loads(encode(read)))
    ENVELOPE.validate(json.loads(encode(read.model_copy(update={"traceparent": None, "dataschema": None}))))


@pytest.mark.parametrize("name", ["id", "source", "type", "time", "specversion", "datacontenttype", "data"])
def test_an_envelope_without_what_it_must_have_is_found(name: str) -> None:
    """By the published schema, which is all that another language has."""
    message = golden(FROZEN[0][1])
    del message[name]
    assert not ENVELOPE.is_valid(message)


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "imaging.patient.1.2.3.v1"},
        {"source": "somewhere"},
        {"time": "yesterday"},
        {"traceparent": "x"},
        {"specversion": "0.3"},
        {"data": "text"},
    ],
    ids=str,
)
def test_an_envelope_with_a_wrong_value_is_found(wrong: dict[str, str]) -> None:
    """A subject with a UID in it as well."""
    assert not ENVELOPE.is_valid(golden(FROZEN[0][1]) | wrong)


Change = Callable[[dict[str, Any]], Any]
PLANNED = schema_of(BY_SUBJECT["imaging.pack.planned.v1"])


def properties(schema: dict[str, Any]) -> dict[str, Any]:
    """Of the event itself."""
    return schema["properties"]


def nested(schema: dict[str, Any], model: str = "Blob") -> dict[str, Any]:
    """Of a model that the event nests."""
    return schema["$defs"][model]["properties"]


BREAKS: dict[str, Change] = {
    "$.plan_id: removed": lambda s: properties(s).pop("plan_id"),
    "$.batches[].archive.sha256: removed": lambda s: nested(s).pop("sha256"),
    "$.extra: became required": lambda s: (
        properties(s).update(extra={"type": "string"}),
        s["required"].append("extra"),
    ),
    "$.run: became required": lambda s: s["required"].append("run"),
    "$.plan_id: no longer required": lambda s: s["required"].remove("plan_id"),
    "$.batches[].archive.sha256: became required": lambda s: s["$defs"]["Blob"]["required"].append("sha256"),
    "$.plan_id: type changed": lambda s: properties(s)["plan_id"].update(type="integer"),
    "$.policy: pattern changed": lambda s: properties(s)["policy"].update(pattern="^[0-9a-f]{32}$"),
    "$.run: minimum changed": lambda s: properties(s)["run"].update(minimum=1),
    "$.run: maximum changed": lambda s: properties(s)["run"].update(maximum=10),
    "$.run: default changed": lambda s: properties(s)["run"].update(default=1),
    "$.batches[].archive.store: enum changed": lambda s: nested(s)["store"]["enum"].remove("keys"),
    "$.copies[].form: enum changed": lambda s: nested(s, "PlannedCopy")["form"]["enum"].append("anonymous"),
    "$.batches: maxItems changed": lambda s: properties(s)["batches"].update(maxItems=3),
    "$.batches: items changed": lambda s: properties(s)["batches"].pop("items"),
    "$.commit_after[]: type changed": lambda s: properties(s)["commit_after"]["items"].update(type="integer"),
    "$.study_uid: choices changed": lambda s: properties(s)["study_uid"]["anyOf"].pop(),
    "$.study_uid|0: type changed": lambda s: properties(s)["study_uid"]["anyOf"][0].update(type="integer"),
    "$.pack_id: x-phi changed": lambda s: properties(s)["pack_id"].update({"x-phi": "uid"}),
    "$: additionalProperties changed": lambda s: s.update(additionalProperties=False),
}


@pytest.mark.parametrize("expected", BREAKS, ids=str)
def test_the_gate_catches_each_kind_of_break(expected: str) -> None:
    """A gate that nothing ever failed proves nothing. A break found in a nested model is named where it is used."""
    changed = copy.deepcopy(PLANNED)
    BREAKS[expected](changed)
    assert expected in breaks(PLANNED, changed)


def test_a_renamed_property_is_a_break() -> None:
    """It is removed under its old name, and required under one that old messages lack."""
    renamed = copy.deepcopy(PLANNED)
    properties(renamed)["plan"] = properties(renamed).pop("plan_id")
    renamed["required"] = ["plan" if name == "plan_id" else name for name in renamed["required"]]
    assert {"$.plan_id: removed", "$.plan: became required"} <= set(breaks(PLANNED, renamed))


def test_a_contract_may_grow_and_be_explained_better() -> None:
    """By optional properties at any depth, and by words."""
    grown = copy.deepcopy(PLANNED)
    properties(grown)["urgency"] = {"type": "string", "x-phi": "routing", "default": "routine"}
    nested(grown)["parts"] = {"anyOf": [{"type": "integer", "x-phi": "none"}, {"type": "null"}], "default": None}
    grown["description"] = properties(grown)["plan_id"]["title"] = "In other words."
    assert breaks(PLANNED, grown) == []
