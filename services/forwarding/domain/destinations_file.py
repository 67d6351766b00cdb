"""Reads ``destinations.yaml``; refuses one that is wrong, with every problem by its line."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import yaml
from pydantic import ValidationError

from services.forwarding.domain.destinations import Destination
from shared.yaml_lines import DocumentRefused, LineReader, MappingNode, Node, SequenceNode, compose, line_of

_SETTINGS = [name for name in Destination.model_fields if name != "name"]


def parse_destinations(text: str, source: str = "destinations.yaml") -> Mapping[str, Destination]:
    """The destinations by name; none where the file names none. DocumentRefused lists every problem by line."""
    if not any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines()):
        return MappingProxyType({})
    root, reader = compose(text, source), LineReader()
    whole = reader.mapping(root, "the document", ["destinations"], required=["destinations"])
    named = _named(reader, whole["destinations"]) if whole else {}
    found = {name: _destination(reader, name, node) for name, node in named.items()}
    if reader.problems:
        raise DocumentRefused(source, reader.problems)
    return MappingProxyType({name: one for name, one in found.items() if one is not None})


def _named(reader: LineReader, node: Node) -> dict[str, Node]:
    keys = [str(key.value) for key, _ in node.value] if isinstance(node, MappingNode) else []
    return reader.mapping(node, "'destinations'", keys)


def _destination(reader: LineReader, name: str, node: Node) -> Destination | None:
    before = len(reader.problems)
    reader.mapping(node, name, _SETTINGS)
    if len(reader.problems) > before:
        return None
    try:
        return Destination(**{**_value(node), "name": name})
    except yaml.YAMLError:
        reader.refuse(node, f"{name} has a value of a kind that is not known here")
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False, include_context=False):
            steps = [str(step) for step in problem["loc"]]
            told = problem["msg"].removeprefix("Value error, ")
            reader.refuse(_line(node, steps), f"{'.'.join((name, *steps))}: {told}")
    except ValueError as error:  # a date that is none
        reader.refuse(node, f"{name} has a value that cannot be read: {error}")
    return None


def _value(node: Node) -> Any:
    return yaml.SafeLoader("").construct_document(node)


def _line(node: Node, steps: Sequence[str]) -> int:
    """The line of the innermost setting on the way ``steps``: that of its name, where it has one."""
    line = line_of(node)
    for step in steps:
        if isinstance(node, MappingNode):
            found = {str(key.value): (line_of(key), value) for key, value in node.value}
        elif isinstance(node, SequenceNode):
            found = {str(number): (line_of(item), item) for number, item in enumerate(node.value)}
        else:
            found = {}
        if step not in found:
            break
        line, node = found[step]
    return line
