"""The house keeps its plan: one layout for every service, sizes in bounds, dependencies one way."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICES = sorted(path.parent.name for path in (ROOT / "services").glob("*/app.py"))

#: The eight files; the first five must be there, ports and adapters where a service has them. Lines at most: those of
#: a README without what is generated, those of a config by docs/adr/0012.
BOUNDS = {
    "README.md": 40,
    "__init__.py": 20,
    "app.py": 80,
    "handlers.py": 200,
    "domain.py": 300,
    "ports.py": 60,
    "adapters.py": 300,
    "config.py": 80,
}
OBLIGATORY = {"README.md", "__init__.py", "app.py", "handlers", "domain", "config"}
GENERATED = re.compile(r"<!-- generated.*<!-- end of generated -->", re.DOTALL)
#: docs/adr/0001: what a service may have beside them.
BESIDE = {"migrations", "maps", "requirements.txt", "__pycache__"}
TOP = {"contracts", "services", "shared", "cli", "tests", "k8s", "bench", "docs", "examples"}

#: Libraries without I/O that a domain may use.
PURE = {"pydicom", "cryptography", "yaml", "pydantic", "pydantic_core", "numpy", "pynetdicom", "blake3", "isal"}


def modules(*folders: str) -> Iterator[Path]:
    """Every Python file below the folders."""
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """The dotted names that a module imports, at its top or inside functions."""
    tree = ast.parse(path.read_text())
    found = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    return found | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}


def third_party(names: set[str]) -> set[str]:
    """The top packages among ``names`` that are neither ours nor Python's."""
    import sys

    ours = TOP | {"__future__"}
    return {name.split(".")[0] for name in names} - ours - set(sys.stdlib_module_names)


def test_nothing_but_the_plan_lies_at_the_top() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert {name.split("/")[0] for name in listed if "/" in name} - TOP <= {".ci"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_the_eight_files_or_packages_of_their_names(service: str) -> None:
    folder = ROOT / "services" / service
    found = {path.name for path in folder.iterdir()} - BESIDE
    stems = {name.removesuffix(".py") if name not in ("__init__.py", "app.py") else name for name in found}
    assert stems >= OBLIGATORY, f"missing: {OBLIGATORY - stems}"
    assert stems <= OBLIGATORY | {"ports", "adapters"}, f"unplanned: {stems}"


@pytest.mark.parametrize("service", SERVICES)
def test_files_of_a_service_stay_within_their_bounds(service: str) -> None:
    folder = ROOT / "services" / service
    for name, bound in BOUNDS.items():
        path = folder / name
        if path.exists():
            assert len(GENERATED.sub("", path.read_text()).splitlines()) <= bound, name
    for path in folder.glob("config/*.py"):
        assert len(path.read_text().splitlines()) <= BOUNDS["config.py"], path.relative_to(ROOT)
    for path in folder.rglob("*.py"):
        if "migrations" not in path.parts:
            assert len(path.read_text().splitlines()) <= 300, path.relative_to(ROOT)


def test_no_module_is_longer_than_three_hundred_lines() -> None:
    long = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in modules("contracts", "shared", "cli", "services")
        if "migrations" not in path.parts
    }
    assert {name: size for name, size in long.items() if size > 300} == {}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_imports_no_other(service: str) -> None:
    for path in modules(f"services/{service}"):
        others = {name for name in imports(path) if name.startswith("services.")}
        assert {name.split(".")[1] for name in others} <= {service}, path.relative_to(ROOT)
        assert not any(name.split(".")[0] in ("cli", "tests", "bench") for name in imports(path))


def test_contracts_and_shared_depend_on_nothing_of_ours_above_them() -> None:
    for path in modules("contracts"):
        names = imports(path)
        assert not {n.split(".")[0] for n in names} & {"services", "shared", "cli", "tests"}, path.relative_to(ROOT)
        assert third_party(names) <= {"pydantic", "pydantic_core", "cryptography", "yaml"}, path.relative_to(ROOT)
    for path in modules("shared"):
        names = {name.split(".")[0] for name in imports(path)}
        assert not names & {"services", "contracts", "cli", "tests"}, path.relative_to(ROOT)


@pytest.mark.parametrize("service", SERVICES)
def test_a_domain_is_pure(service: str) -> None:
    folder = ROOT / "services" / service
    files = [folder / "domain.py"] if (folder / "domain.py").exists() else sorted((folder / "domain").rglob("*.py"))
    for path in files:
        names = imports(path)
        where = path.relative_to(ROOT)
        assert third_party(names) <= PURE, where
        inside = {n for n in names if n.startswith("services.")}
        assert all(n.split(".")[2:3] == ["domain"] for n in inside), where
        assert {n for n in names if n.startswith("shared.")} <= {
            "shared.errors",
            "shared.identity",
            "shared.yaml_lines",
        }, where
        assert not names & {"asyncio", "socket", "subprocess", "threading"}, where
        assert not any(isinstance(node, ast.AsyncFunctionDef) for node in ast.walk(ast.parse(path.read_text()))), where


@pytest.mark.parametrize("service", SERVICES)
def test_dependencies_of_a_service_point_one_way(service: str) -> None:
    base = f"services.{service}."
    for path in modules(f"services/{service}"):
        layer = path.relative_to(ROOT / "services" / service).parts[0].removesuffix(".py")
        used = {name.removeprefix(base).split(".")[0] for name in imports(path) if name.startswith(base)}
        if layer in ("adapters", "domain", "ports", "config"):
            assert not used & {"app", "handlers"}, path.relative_to(ROOT)
        if layer == "handlers":
            assert "adapters" not in used, path.relative_to(ROOT)
        if layer != "app":
            assert "app" not in used, path.relative_to(ROOT)


def test_nothing_runs_at_import() -> None:
    """Module bodies define; a bare call (other than for typing or tables) would be work."""
    for path in modules("contracts", "services"):
        if "migrations" in path.parts:
            continue
        for node in ast.parse(path.read_text()).body:
            bare = isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)
            assert not bare and not isinstance(node, ast.For | ast.While | ast.With), path.relative_to(ROOT)


def test_only_settings_read_the_environment() -> None:
    """``os.environ`` is read by ``config.py``, by the credentials of stores, and by crash points of tests."""
    allowed = {"shared/storage/targets.py", "shared/storage/opening.py", "services/dicom_ingest/adapters/crash.py"}
    for path in modules("services", "shared", "contracts"):
        text = path.read_text()
        if "os.environ" in text or "getenv(" in text:
            assert str(path.relative_to(ROOT)) in allowed, path.relative_to(ROOT)


def test_shared_stays_small() -> None:
    """Technology is not to grow into the monolith; the aim is 15 % of the code."""
    sizes = {
        top: sum(len(p.read_text().splitlines()) for p in modules(top))
        for top in ("shared", "contracts", "services", "cli")
    }
    assert sizes["shared"] / sum(sizes.values()) < 0.18, sizes


def test_an_installed_package_has_its_data_files() -> None:
    """What is read beside the code goes into the wheel; the lock of a service's image does not."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["*"]
    tracked = subprocess.run(
        ["git", "ls-files", "contracts", "services", "shared", "cli"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    data = [Path(name) for name in tracked if not name.endswith((".py", "requirements.txt"))]
    assert len(data) > 50
    assert [path for path in data if not any(fnmatch(path.name, pattern) for pattern in patterns)] == []
