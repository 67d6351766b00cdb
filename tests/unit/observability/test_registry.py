"""What the code base writes is in the registry: a key that is not would be lost without a word."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.observability.names import EVENT_NAME, KEYS, METRICS, SPAN_NAME

ROOT = Path(__file__).resolve().parents[3]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
MEASURES = {"count", "set", "observe", "timed"}
SPANS = {"start_as_current_span", "start_span"}


@pytest.fixture(scope="module")
def calls() -> dict[str, list[ast.Call]]:
    """Every call of a method in shared/ and services/, by ``file:line`` and the method's name."""
    found: dict[str, list[ast.Call]] = {}
    for path in sorted(path for part in ("shared", "services") for path in (ROOT / part).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                node.place = f"{path.relative_to(ROOT)}:{node.lineno}"  # type: ignore[attr-defined]
                found.setdefault(node.func.attr, []).append(node)
    return found


def of(calls: dict[str, list[ast.Call]], names: set[str]) -> Iterator[ast.Call]:
    return (call for name in names for call in calls.get(name, []))


def is_log(call: ast.Call) -> bool:
    """Whether ``call`` is ``log.info(…)``, ``self._log.info(…)`` or ``logger().info(…)``."""
    return ast.unparse(call.func.value).rsplit(".", 1)[-1].strip("_()") in {"log", "logger"}  # type: ignore[attr-defined]


def constant(call: ast.Call) -> str:
    """The first argument when it is a fixed text, else nothing."""
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def keywords(call: ast.Call) -> set[str]:
    return {keyword.arg for keyword in call.keywords if keyword.arg}


def test_log_lines_use_registered_keys(calls):
    """Every key of a log call is in the registry."""
    unknown = {call.place: keywords(call) - {"exc_info"} - KEYS.keys() for call in of(calls, LEVELS) if is_log(call)}
    assert not {place: keys for place, keys in unknown.items() if keys}


def test_log_lines_have_fixed_codes(calls):
    """Every log call that names its event names it by a code."""
    events = {call.place: constant(call) for call in of(calls, LEVELS) if is_log(call)}
    assert not {place: event for place, event in events.items() if event and not EVENT_NAME.fullmatch(event)}
    assert any(events.values())


def test_metrics_are_registered_with_their_labels(calls):
    """Every metric that the code counts is in the registry, with just the labels given."""
    used = [call for call in of(calls, MEASURES) if constant(call).startswith("causeway_")]
    wrong = {
        call.place: constant(call)
        for call in used
        if constant(call) not in METRICS or keywords(call) - {"amount"} != set(METRICS[constant(call)].labels)
    }
    assert used
    assert not wrong


def test_spans_have_names_and_attributes_that_pass_the_guard(calls):
    """Every span that is named in the code keeps its name and its attributes."""
    wrong = {}
    for call in of(calls, SPANS):
        given = next((word.value for word in call.keywords if word.arg == "attributes"), None)
        keys = {key.value for key in getattr(given, "keys", []) if isinstance(key, ast.Constant)}
        if (constant(call) and not SPAN_NAME.fullmatch(constant(call))) or keys - KEYS.keys():
            wrong[call.place] = (constant(call), keys - KEYS.keys())
    assert not wrong
