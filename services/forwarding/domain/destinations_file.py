"""Reads ``destinations.yaml``; refuses one that is wrong, with the line of every problem."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import yaml
from pydantic import ValidationError

from services.forwarding.domain.destinations import Destination


@dataclass(frozen=True)
class _Entry:
    """A setting: its line, counted from 1, and what stands there."""

    line: int
    node: yaml.Node


class DestinationsRefused(ValueError):
    """``destinations.yaml`` is wrong; each of ``problems`` starts with ``line N:``."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def parse_destinations(text: str) -> Mapping[str, Destination]:
    """The destinations by name; none where the file names none. DestinationsRefused with every problem found."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DestinationsRefused((f"line {line}: no YAML: {error.problem}",)) from None
    if root is None:
        return MappingProxyType({})
    whole = _mapping(root, 1, "a mapping with `destinations`")
    if set(whole) != {"destinations"}:
        raise DestinationsRefused(("line 1: expected `destinations` and nothing beside it",))
    outer = whole["destinations"]
    problems: list[str] = []
    named = _mapping(outer.node, outer.line, "`destinations`, a mapping by name")
    found = {name: _destination(name, entry, problems) for name, entry in named.items()}
    if problems:
        raise DestinationsRefused(tuple(problems))
    return MappingProxyType({name: one for name, one in found.items() if one is not None})


def _mapping(node: yaml.Node, line: int, what: str) -> dict[str, _Entry]:
    if not isinstance(node, yaml.MappingNode):
        raise DestinationsRefused((f"line {line}: expected {what}",))
    found: dict[str, _Entry] = {}
    for key, value in node.value:
        entry = _Entry(key.start_mark.line + 1, value)
        if key.value in found:  # YAML takes the last one silently: the first would get nothing
            raise DestinationsRefused((f"line {entry.line}: `{key.value}` is there twice",))
        found[str(key.value)] = entry
    return found


def _destination(name: str, entry: _Entry, problems: list[str]) -> Destination | None:
    _mapping(entry.node, entry.line, f"the settings of `{name}`")
    settings: Any = yaml.SafeLoader("").construct_document(entry.node)
    try:
        return Destination(**{**settings, "name": name})
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False, include_context=False):
            where = tuple(str(step) for step in problem["loc"])
            told = ".".join((name, *where))
            problems.append(f"line {_line(entry, where)}: {told}: {problem['msg'].removeprefix('Value error, ')}")
    return None


def _line(entry: _Entry, where: tuple[str, ...]) -> int:
    """The line of the innermost setting on the way ``where``."""
    for step in where:
        found = _step(entry.node, step)
        if found is None:
            break
        entry = found
    return entry.line


def _step(node: yaml.Node, step: str) -> _Entry | None:
    if isinstance(node, yaml.MappingNode):
        named = ((key, value) for key, value in node.value if str(key.value) == step)
        return next((_Entry(key.start_mark.line + 1, value) for key, value in named), None)
    if isinstance(node, yaml.SequenceNode) and step.isdigit() and int(step) < len(node.value):
        item = node.value[int(step)]
        return _Entry(item.start_mark.line + 1, item)
    return None
