"""Reads YAML nodes so that every problem names its line, and all problems are told at once."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

_UNITS = {"": 1, "B": 1, "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3, "KB": 1000, "MB": 1000**2, "GB": 1000**3}
_SPANS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}


@dataclass(frozen=True, order=True)
class Problem:
    """What is wrong, in which line (counted from 1)."""

    line: int
    text: str


class DocumentRefused(ValueError):
    """A document cannot be used; ``problems`` lists all that is wrong with it, by line."""

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(f"{source}:{problem.line}: {problem.text}" for problem in self.problems))


def line_of(node: Node) -> int:
    """The line of a node, counted from 1."""
    return int(node.start_mark.line) + 1


def compose(text: str, source: str) -> Node:
    """The root node of the YAML ``text``; DocumentRefused when it is not YAML or is empty."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = Problem(mark.line + 1 if mark else 1, f"not YAML: {error.problem or error.context}")
        raise DocumentRefused(source, [problem]) from None
    except ReaderError as error:
        problem = Problem(text.count("\n", 0, error.position) + 1, "not YAML: a control character")
        raise DocumentRefused(source, [problem]) from None
    if root is None:
        raise DocumentRefused(source, [Problem(1, "the document is empty")])
    return root


class LineReader:
    """Takes values from nodes and collects ``problems`` instead of stopping at the first."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def refuse(self, where: Node | int, text: str) -> None:
        """Note a problem at a node or a line."""
        self.problems.append(Problem(where if isinstance(where, int) else line_of(where), text))

    def mapping(self, node: Node, what: str, keys: Iterable[str], required: Iterable[str] = ()) -> dict[str, Node]:
        """The values of a mapping by key; keys that are unknown, repeated or missing are refused."""
        if not isinstance(node, MappingNode):
            self.refuse(node, f"{what} must be a mapping")
            return {}
        found: dict[str, Node] = {}
        for key, value in node.value:
            self._take(found, key, value, what, tuple(keys))
        for key in required:
            if key not in found:
                self.refuse(node, f"{what} has no '{key}'")
        return found

    def _take(self, found: dict[str, Node], key: Node, value: Node, what: str, keys: tuple[str, ...]) -> None:
        name = str(key.value)
        if name not in keys:
            near = get_close_matches(name, keys, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(keys)}"
            self.refuse(key, f"unknown key '{name}' in {what}; {hint}")
        elif name in found:
            self.refuse(key, f"'{name}' stands twice in {what}")
        else:
            found[name] = value

    def sequence(self, node: Node, what: str) -> list[Node]:
        """The items of a list that is not empty."""
        if not isinstance(node, SequenceNode) or not node.value:
            self.refuse(node, f"{what} must be a list with at least one item")
            return []
        return list(node.value)

    def text(self, node: Node, what: str) -> str:
        """A text that is not empty."""
        if not isinstance(node, ScalarNode) or not node.value.strip():
            self.refuse(node, f"{what} must be a text")
            return ""
        return str(node.value).strip()

    def name(self, node: Node, what: str) -> str:
        """A name that may be part of a file name: letters, digits, hyphens, underscores and dots."""
        name = self.text(node, what)
        if name and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", name):
            self.refuse(node, f"{what} may have letters, digits, '-', '_' and '.' only, at most 63")
        return name

    def texts(self, node: Node, what: str) -> tuple[str, ...]:
        """One text, or a list of texts."""
        if isinstance(node, ScalarNode):
            return (self.text(node, what),)
        return tuple(self.text(item, what) for item in self.sequence(node, what))

    def size(self, node: Node, what: str) -> int:
        """A number of bytes, such as ``64MiB``, at least one."""
        parts = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", self.text(node, what))
        if not parts or parts[2].upper() not in _UNITS or float(parts[1]) <= 0:
            self.refuse(node, f"{what} must be a size such as 64MiB")
            return 1
        return int(float(parts[1]) * _UNITS[parts[2].upper()])

    def count(self, node: Node, what: str) -> int:
        """A whole number, at least one."""
        text = self.text(node, what)
        if not re.fullmatch(r"[1-9]\d{0,8}", text):
            self.refuse(node, f"{what} must be a whole number, at least 1")
            return 1
        return int(text)

    def duration(self, node: Node, what: str) -> timedelta:
        """A time such as ``90s``, ``5m``, ``30d`` or ``10y`` (365 days each), more than nothing."""
        parts = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]+)", self.text(node, what))
        if not parts or parts[2] not in _SPANS or float(parts[1]) <= 0:
            self.refuse(node, f"{what} must be a time such as 90s, 5m, 30d or 10y")
            return timedelta(seconds=1)
        return timedelta(seconds=float(parts[1]) * _SPANS[parts[2]])

    def days(self, node: Node, what: str) -> int:
        """A time of whole days, at least one."""
        span = self.duration(node, what)
        if span < timedelta(days=1) or span % timedelta(days=1):
            self.refuse(node, f"{what} must be whole days, such as 30d or 10y")
        return max(1, span.days)
