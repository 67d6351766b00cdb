"""The route tables of the services, read from their app.py without running it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import contracts.events
from contracts.events import Event

ROOT = Path(__file__).parents[2]
SERVICES = sorted(path.parent.name for path in ROOT.glob("services/*/app.py"))
DEAD_LETTERS = "deadletter.>"


def routed(service: str) -> set[tuple[str, bool]]:
    """Subject and per-target flag of each row of the table of ``service``."""
    tree = ast.parse((ROOT / "services" / service / "app.py").read_text(encoding="utf-8"))
    loops = {
        name: node.iter
        for node in ast.walk(tree)
        if isinstance(node, ast.comprehension)
        for name in _names(node.target)
    }
    found = set()
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "OnDeadLetter":
            found.add((DEAD_LETTERS, False))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "On":
            each = any(keyword.arg == "target" for keyword in call.keywords)
            found |= {(event.subject, each) for event in _events(call.args[0], tree, loops)}
    return found


def _names(node: ast.AST) -> list[str]:
    return [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]


def _events(node: ast.AST, tree: ast.AST, loops: dict[str, ast.expr]) -> Iterator[type[Event]]:
    """The event that a name stands for, or all of those it runs over: a loop's tuple, or a variable's."""
    for name in _names(node):
        event = getattr(contracts.events, name, None)
        if isinstance(event, type):
            yield event
        elif name in loops:
            yield from _events(loops[name], tree, {})
        else:
            yield from _assigned(name, tree)


def _assigned(name: str, tree: ast.AST) -> Iterator[type[Event]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and name in {each for target in node.targets for each in _names(target)}:
            yield from _events(node.value, tree, {})
