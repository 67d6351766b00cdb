"""README, docs/operations and docs/conformance: every command, variable, link and file that they name is there."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from cli.embedded.plan import overlaid_plan
from cli.main import app as causeway
from cli.setup.__main__ import app as setup
from contracts.streams import documents
from tests.unit.deployment.house import ROOT, SERVICES, variables_of

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("[co]*/*.md"))]  # conformance, operations
NAMED = [path.name for path in DOCUMENTS]
#: How a command of ours begins in a line of code, and what it is.
BEGINNINGS = {
    r"(?:^ *|[|&;] *)causeway": causeway,
    r"cli\.main": causeway,
    r"--rm operator": causeway,
    r"cli\.setup": setup,
}


def code(path: Path) -> str:
    """What a document shows as code, one piece a line."""
    text = path.read_text().replace("\\\n", " ")
    fenced = re.findall(r"^ *```sh\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    return "\n".join((*fenced, *re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S))))


def commands(path: Path) -> list[tuple[Any, list[str]]]:
    """Each command of ours in a document, with the words behind it."""
    found = []
    for beginning, app in BEGINNINGS.items():
        for line in re.findall(rf"{beginning} ([a-z][^\n#|<>;&]*)", code(path), re.MULTILINE):
            command: Any = get_command(app)
            words = line.split()
            while hasattr(command, "get_command") and words and not words[0].startswith("-"):
                group, name = command, words.pop(0)
                command = group.get_command(None, name)
                assert command is not None, f"{group.name} {name}"
            found.append((command, words))
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMED)
def test_every_command_and_option_exists(path: Path) -> None:
    for command, words in commands(path):
        known = {name for parameter in command.params for name in parameter.opts}
        assert {word.split("=")[0] for word in words if word.startswith("-")} <= known, (command.name, words)


def test_commands_are_found_in_what_is_shown() -> None:
    shown = {command.name for path in DOCUMENTS for command, _ in commands(path)}
    assert {"send", "fetch", "trace", "replay", "retry", "secrets", "credentials", "provision"} <= shown


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMED)
def test_every_variable_is_read_by_somebody(path: Path) -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    known = set(re.findall(r"\$\{(CAUSEWAY_\w+)", compose)).union(*map(variables_of, SERVICES))
    named = {name.rstrip("_") for name in re.findall(r"CAUSEWAY_[A-Z][A-Z0-9_]*", path.read_text())} - {"CAUSEWAY"}
    assert named - known <= {"CAUSEWAY_DATA", "CAUSEWAY_STREAM_REPLICAS"}, "which the command reads"


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMED)
def test_every_link_and_manifest_leads_somewhere(path: Path) -> None:
    text = path.read_text()
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        assert "://" in link or (path.parent / link).exists(), link
    for name in re.findall(r"\b(?:k8s|examples|docs)/[\w./-]+", text):
        assert list(ROOT.glob(f"{name.rstrip('./')}*")), name


def test_every_target_of_make_that_the_readme_names_is_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"^make ([a-z]+)|`make ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert {first or second for first, second in named} <= targets


def test_streams_are_as_large_as_operators_are_told() -> None:
    text = (ROOT / "docs" / "operations" / "streams.md").read_text()
    told = re.findall(r"^\| `([A-Z]+)` \|[^|]*\| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    rows = [row for document in documents() for row in document["streams"]]
    assert sorted(told) == sorted((row["name"], str(row["max_age"] or "for ever"), row["max_bytes"]) for row in rows)


def test_a_sample_of_streams_yaml_can_be_used(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "operations" / "streams.md").read_text()
    (sample,) = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "streams.yaml").write_text(sample)
    imaging = next(one for one in overlaid_plan(tmp_path / "streams.yaml").streams if one.name == "IMAGING")
    assert imaging.max_age == 90 * 86400


def test_volumes_that_are_backed_up_are_those_that_must_be() -> None:
    loop = re.search(r"for volume in ([a-z ]+);", (ROOT / "docs" / "operations" / "keys.md").read_text())
    assert loop
    assert set(loop[1].split()) < yaml.safe_load((ROOT / "docker-compose.yml").read_text())["volumes"].keys()
