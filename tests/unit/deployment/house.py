"""What the deployment tests know of the house: its services, their settings, the modules they are made of."""

import ast
import importlib
from functools import lru_cache
from pathlib import Path

from shared.settings import ServiceSettings

ROOT = Path(__file__).resolve().parents[3]
SERVICES = tuple(sorted(path.parent.name for path in (ROOT / "services").glob("*/app.py")))


def container(service: str) -> str:
    """What ``service`` is called in compose and Kubernetes: names in DNS have no underscores (RFC 1035)."""
    return service.replace("_", "-")


def settings_of(service: str) -> type[ServiceSettings]:
    """The settings class of ``service``."""
    found = importlib.import_module(f"services.{service}.config").Settings
    assert issubclass(found, ServiceSettings)
    return found


def variables_of(service: str) -> set[str]:
    """Every variable that ``service`` reads."""
    return {f"CAUSEWAY_{field.upper()}" for field in settings_of(service).model_fields}


@lru_cache
def libraries_of(start: str) -> frozenset[str]:
    """The top names of all libraries that the module ``start`` needs, through any module of ours."""
    ours, libraries, waiting = set(), set(), [start]
    while waiting:
        name = waiting.pop()
        path = _path(name)
        if path is None or path in ours:
            continue
        ours.add(path)
        for imported in _imports(path):
            if imported.split(".")[0] in ("contracts", "shared", "services", "cli"):
                waiting += [imported, imported.rpartition(".")[0]]
            else:
                libraries.add(imported.split(".")[0])
    return frozenset(libraries)


def _path(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found
