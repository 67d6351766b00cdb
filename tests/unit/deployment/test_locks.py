"""The locked requirements of each image: what its group asks for, what its modules import, and nothing unhashed."""

import re
import sys
import tomllib
from functools import lru_cache
from importlib.metadata import packages_distributions
from typing import Any

import pytest

from tests.unit.deployment.house import ROOT, SERVICES, libraries_of

LOCKS = {
    **{name: f"services/{name}/requirements.txt" for name in SERVICES},
    "cli": "cli/requirements.txt",
    "embedded": "requirements.txt",
    "test": "requirements-test.txt",
}
IMAGES = {**{name: f"services.{name}.app" for name in SERVICES}, "cli": "cli.main"}
GROUPS: dict[str, list[Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]


def normal(name: str) -> str:
    """A distribution's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def asked(group: str) -> set[str]:
    """The distributions that a group names itself or through others."""
    found = set()
    for row in GROUPS[group]:
        if isinstance(row, dict):
            found |= asked(row["include-group"])
        else:
            found.add(normal(re.match(r"[A-Za-z0-9._-]+", row)[0]))  # type: ignore[index]
    return found


@lru_cache
def providers() -> dict[str, list[str]]:
    """The distributions that are installed here by the top names that they provide."""
    return dict(packages_distributions())


def locked(group: str) -> dict[str, str]:
    """The distributions of a lock, each with the whole of its entry."""
    text = (ROOT / LOCKS[group]).read_text().replace("\\\n", " ")
    return {normal(line.split("==")[0]): line for line in text.splitlines() if line.strip()}


@pytest.mark.parametrize("group", LOCKS)
def test_a_lock_has_all_that_its_group_asks_for(group: str) -> None:
    assert asked(group) <= locked(group).keys(), "run `make lock`"


@pytest.mark.parametrize("group", LOCKS)
def test_every_entry_is_one_version_with_hashes(group: str) -> None:
    for entry in locked(group).values():
        assert re.fullmatch(r"\S+==\S+(\s*;[^#]*?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*", entry), entry.split()[0]


@pytest.mark.parametrize("group", LOCKS)
def test_a_lock_names_no_host(group: str) -> None:
    assert "://" not in (ROOT / LOCKS[group]).read_text()


@pytest.mark.parametrize("group", IMAGES)
def test_an_image_has_every_library_that_its_modules_import(group: str) -> None:
    needed = libraries_of(IMAGES[group]) - sys.stdlib_module_names - {"__future__"}
    assert needed, "nothing was found"
    for library in needed:
        candidates = {normal(name) for name in providers().get(library, [library])}
        assert candidates & locked(group).keys(), library


def test_an_image_carries_no_library_of_another_service() -> None:
    assert not {"pydicom", "pynetdicom", "sqlalchemy", "hl7apy"} & locked("encryption").keys()
    assert {name for name in SERVICES if "pynetdicom" in locked(name)} == {"dicom_ingest", "forwarding", "hl7_fhir"}
    assert {name for name in SERVICES if "hl7apy" in locked(name)} == {"hl7_fhir"}


def test_versions_agree_between_images() -> None:
    """One version of a library on the whole site: what the tests of the whole box ran with."""
    whole = {name: entry.split()[0] for name, entry in locked("embedded").items()}
    for group in IMAGES:
        for name, entry in locked(group).items():
            assert whole.get(name) == entry.split()[0], f"{group}: {name}"
