"""The names in a site's list of destinations."""

from pathlib import Path

import pytest

from cli.destinations_file import NoDestinations, destination_names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("# nothing\n", []),
        ("destinations:\n", []),
        ("destinations: {}\n", []),
        ("destinations: {old-pacs: {kind: dicom}, vna: {since: 2026-12-01}}\n", ["old-pacs", "vna"]),
        ("destinations: {vna: {since: 2026-13-01T00:00:00}}\n", ["vna"]),
        ("destinations: {vna: {since: !now 1}}\n", ["vna"]),
    ],
)
def test_only_names_are_read(tmp_path: Path, text: str, names: list[str]) -> None:
    """What is wrong with a destination keeps forwarding from starting, with its line, and nobody else."""
    (tmp_path / "destinations.yaml").write_text(text)
    assert destination_names(tmp_path / "destinations.yaml") == names


@pytest.mark.parametrize(
    "content", [b"- a", b"destinations: [a]", b"destinations: {A B: {}}", b"a: [", b"\xff", b"a: \0"]
)
def test_what_is_no_list_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "destinations.yaml").write_bytes(content)
    with pytest.raises(NoDestinations, match=r"destinations\.yaml"):
        destination_names(tmp_path / "destinations.yaml")
