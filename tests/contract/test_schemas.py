"""The schemas say what the models do, and what travels says how close it is to a person."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.compatibility import wordless
from contracts.events import BY_SUBJECT, EVENTS, RESERVED, Event
from contracts.freeze import FOLDER, ContractBroken, freeze, load, revisions, schema_of

CLASSES = {"none", "opaque", "uid", "routing"}
DIRECT_IDENTIFIERS = re.compile(r"patient_(name|id)|birth|accession(?!_token)|address|phone|comment|description|text")


def leaves(schema: dict[str, Any], root: dict[str, Any], path: str = "$") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every value that an event can carry, through nested models, lists and alternatives, with its path."""
    if "$ref" in schema:
        yield from leaves(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, path)
    for choice in schema.get("anyOf", ()):
        yield from leaves(choice, root, path)
    if "items" in schema:
        yield from leaves(schema["items"], root, f"{path}[]")
    for name, each in schema.get("properties", {}).items():
        yield from leaves(each, root, f"{path}.{name}")
    inner = {"$ref", "anyOf", "items", "properties"} & schema.keys()
    if not inner and schema.get("type") != "null":
        yield path, schema


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.subject)
def test_the_newest_frozen_schema_is_the_model_today(event: type[Event]) -> None:
    """Run ``make schemas`` when an event grew."""
    assert wordless(load(revisions(event.subject)[-1])) == wordless(schema_of(event))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.subject)
def test_every_value_has_a_phi_class(event: type[Event]) -> None:
    """However deep it lies."""
    schema = schema_of(event)
    found = dict(leaves(schema, schema))
    assert len(found) >= len(event.model_fields)
    assert {path: leaf.get("x-phi") for path, leaf in found.items() if leaf.get("x-phi") not in CLASSES} == {}


def test_a_value_without_a_phi_class_would_be_found() -> None:
    """The walk reaches values inside lists of nested models."""
    schema = schema_of(BY_SUBJECT["imaging.pack.planned.v1"])
    del schema["$defs"]["Blob"]["properties"]["key"]["x-phi"]
    unclassed = {path for path, leaf in leaves(schema, schema) if "x-phi" not in leaf}
    assert unclassed == {f"$.batches[].{blob}.key" for blob in ("manifest", "headers", "archive")}


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.subject)
def test_no_event_has_a_place_for_a_direct_identifier(event: type[Event]) -> None:
    """Not even an empty one: names of fields are read by people who fill them."""
    schema = schema_of(event)
    assert [path for path, _ in leaves(schema, schema) if DIRECT_IDENTIFIERS.search(path)] == []


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.subject)
def test_an_event_is_frozen_and_ignores_what_it_does_not_know(event: type[Event]) -> None:
    """Old code reads what new code wrote, and a validation error never prints what it saw."""
    assert event.model_config["frozen"] is True
    assert event.model_config["extra"] == "ignore"
    assert event.model_config["hide_input_in_errors"] is True


def test_subjects_are_unique_and_well_formed() -> None:
    """``<stream>.<entity>.<fact>.v<major>``, and nothing that could be an identifier."""
    subjects = [event.subject for event in EVENTS]
    assert len(set(subjects)) == len(subjects)
    assert all(re.fullmatch(r"(imaging|clinical)\.[a-z]+\.[a-z]+\.v[0-9]+", subject) for subject in subjects)


def test_reserved_names_are_kept_free() -> None:
    """No event has one, and no schema is published for one."""
    assert set(RESERVED) & set(BY_SUBJECT) == set()
    assert [name for name in RESERVED if revisions(name)] == []


def test_no_schema_lies_about_without_its_event() -> None:
    """Every file is a revision of an event, or the envelope."""
    known = {path.name for event in EVENTS for path in revisions(event.subject)} | {"cloudevent.json"}
    assert {path.name for path in FOLDER.glob("*.json")} == known


def test_freezing_again_writes_nothing(tmp_path: Path) -> None:
    """A frozen schema is never touched."""
    event = EVENTS[0]
    first = freeze(event, tmp_path)
    assert first is not None
    assert first.name == f"{event.subject}.json"
    assert freeze(event, tmp_path) is None


def test_an_event_that_grew_gets_a_new_revision(tmp_path: Path) -> None:
    """The old one stays beside it; rewording alone makes none."""
    event = BY_SUBJECT["imaging.batch.secured.v1"]
    older = schema_of(event)
    older["properties"].pop("copies")
    older["required"].remove("copies")
    grown = schema_of(event)
    grown["required"].remove("copies")
    (tmp_path / f"{event.subject}.json").write_text(json.dumps(older))

    class Grown(event):  # type: ignore[misc, valid-type]
        @classmethod
        def model_json_schema(cls, **_: Any) -> dict[str, Any]:
            return grown

    written = freeze(Grown, tmp_path)
    assert written is not None
    assert written.name == f"{event.subject}.2.json"
    assert json.loads((tmp_path / f"{event.subject}.json").read_text()) == older
    grown["description"] = "In other words."
    assert freeze(Grown, tmp_path) is None
    assert [path.name for path in revisions(event.subject, tmp_path)] == [f"{event.subject}.json", written.name]


def test_an_event_that_broke_is_not_frozen(tmp_path: Path) -> None:
    """The error names the event, the property and the kind of break."""
    event = BY_SUBJECT["imaging.batch.secured.v1"]
    released = schema_of(event)
    released["properties"]["gone"] = {"type": "string", "x-phi": "none"}
    (tmp_path / f"{event.subject}.json").write_text(json.dumps(released))
    with pytest.raises(ContractBroken, match=r"imaging\.batch\.secured\.v1 \$\.gone: removed"):
        freeze(event, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
