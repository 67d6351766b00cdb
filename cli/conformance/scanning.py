"""The refusals that the code can give: every call of an error class with a reason, read from the source."""

import ast
import importlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, order=True)
class Refusal:
    """A reason, and the number that goes with it (a DICOM or HTTP status), None where the class alone decides."""

    reason: str
    number: int | None
    module: str


def refusals(error: str, modules: Sequence[str]) -> list[Refusal]:
    """Every ``error("reason", number)`` of these modules (``services.dicom_ingest.domain`` means all below it)."""
    found = {one for module in _modules(modules) for one in _of_module(module, error)}
    return sorted(found, key=lambda one: (one.number or 0, one.reason, one.module))


def reasons(found: Iterable[Refusal]) -> list[tuple[int | None, str]]:
    """Numbers and reasons alone, each pair once."""
    return list(dict.fromkeys((one.number, one.reason) for one in found))


def _modules(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        path = ROOT.joinpath(*name.split("."))
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
        yield from (".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files)


def _of_module(name: str, error: str) -> Iterator[Refusal]:
    tree = ast.parse(ROOT.joinpath(*name.split(".")).with_suffix(".py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == error and node.args:
            reason = node.args[0]
            if isinstance(reason, ast.Constant):
                number = _value(node.args[1], importlib.import_module(name)) if len(node.args) > 1 else None
                yield Refusal(str(reason.value), number, name)


def _value(node: ast.expr, module: ModuleType) -> int | None:
    """The number that an expression stands for: a literal, or a constant of the module or of one that it imports."""
    if isinstance(node, ast.Constant):
        return int(node.value) if isinstance(node.value, int) else None
    if isinstance(node, ast.Name):
        return _number(getattr(module, node.id, None))
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return _number(getattr(getattr(module, node.value.id, None), node.attr, None))
    return None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) else None
