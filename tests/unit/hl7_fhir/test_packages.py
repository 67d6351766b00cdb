"""The packages of the domain depend on each other in one direction."""

import ast
from pathlib import Path

import pytest

DOMAIN = Path(__file__).resolve().parents[3] / "services" / "hl7_fhir" / "domain"
BASE = "services.hl7_fhir.domain."

#: Each knows those before it, and none of those after it.
ORDER = ("messages", "mapping", "clinical", "intake", "outgoing", "worklist", "fhir", "studies", "subscriptions")


def known_to(package: str) -> set[str]:
    """The packages that the modules of ``package`` import."""
    trees = [ast.parse(path.read_text()) for path in sorted((DOMAIN / package).rglob("*.py"))]
    named = [node.module for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {name.removeprefix(BASE).split(".")[0] for name in named if name and name.startswith(BASE)}


def test_every_module_is_in_a_package() -> None:
    assert {path.name for path in DOMAIN.iterdir()} - {"__init__.py", "__pycache__"} == set(ORDER)


@pytest.mark.parametrize("package", ORDER)
def test_a_package_knows_only_those_before_it(package: str) -> None:
    known = known_to(package)
    assert known <= set(ORDER[: ORDER.index(package) + 1])
    assert known or package == "messages"
