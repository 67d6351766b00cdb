"""Which copy ``causeway fetch`` reads, and when it asks back."""

import io
from argparse import Namespace
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from cli import fetch
from cli.fetch import Ambiguous, NotThere, best, choose, copies_of, note_on, read_instance
from cli.main import app
from contracts.formats.manifest import Instance
from tests.support.packs import make_file

EXPLICIT, JPEG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"


def copy(generation: int = 1, state: str = "proven", target: str = "cloud-a", form: str = "identified") -> dict:
    """A copy as ``where`` tells it."""
    return {"target": target, "form": form, "generation": generation, "state": state}


def version(digest: str, *copies: dict, syntax: str = EXPLICIT) -> dict[str, Any]:
    """A version as ``where`` tells it."""
    return {"dataset_sha256": digest, "transfer_syntax": syntax, "copies": list(copies)}


def document(*versions: dict) -> dict[str, Any]:
    """The answer of ``where``."""
    return {"sop_instance_uid": "1.2.3", "versions": list(versions)}


def test_of_several_versions_none_is_taken_but_all_are_listed() -> None:
    told = document(version("aa", copy()), version("bb", copy()))
    with pytest.raises(Ambiguous, match=f"say --digest:\naa \\({EXPLICIT}\\)\nbb "):
        choose(told, "cloud-a", None, "identified")
    assert choose(told, "cloud-a", "bb", "identified") is told["versions"][1]["copies"][0]


def test_only_versions_with_a_copy_there_count() -> None:
    told = document(version("aa", copy(form="deidentified")), version("bb", copy()), version("cc", copy(target="x")))
    assert choose(told, "cloud-a", None, "identified") is told["versions"][1]["copies"][0]
    assert choose(told, "cloud-a", None, "deidentified") is told["versions"][0]["copies"][0]


def test_versions_that_differ_in_syntax_alone_are_told_apart_by_it() -> None:
    told = document(version("aa", copy()), version("aa", copy(), syntax=JPEG))
    with pytest.raises(Ambiguous, match="say --transfer-syntax"):
        choose(told, "cloud-a", "aa", "identified")
    assert choose(told, "cloud-a", "aa", "identified", JPEG) is told["versions"][1]["copies"][0]


def test_what_is_not_there_is_told() -> None:
    told = document(version("aa", copy()))
    with pytest.raises(NotThere, match="no version"):
        choose(told, "cloud-a", "bb", "identified")
    with pytest.raises(NotThere, match="no identified copy lies in onsite"):
        choose(told, "onsite", None, "identified")


@pytest.mark.parametrize(
    ("states", "chosen", "note"),
    [
        (["proven"], 1, None),
        (["damaged", "proven"], 2, None),
        (["proven", "damaged"], 1, "generation 2 is damaged, generation 1 is proven and read"),
        (["proven", "written"], 1, "generation 2 is not proven yet, generation 1 is proven and read"),
        (["damaged", "written"], 2, "generation 2 is not proven yet and read"),
        (["damaged", "damaged"], 2, "generation 2 is damaged and read"),
    ],
)
def test_the_newest_proven_generation_is_read(states: list[str], chosen: int, note: str | None) -> None:
    copies = copies_of(
        document(version("aa", *(copy(n, state) for n, state in enumerate(states, 1)))), "cloud-a", None, "identified"
    )
    assert best(copies)["generation"] == chosen
    assert note_on(best(copies), copies) == note


def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    words = ["fetch", "1.2.3", "--from", "onsite", "-o", str(tmp_path / "no" / "x.dcm"), "--data", str(tmp_path)]
    told = CliRunner().invoke(app, words)
    assert (told.exit_code, told.stderr) == (1, f"error: there is no folder {tmp_path}/no to write to\n")


def test_a_site_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["fetch", "1.2.3", "--from", "onsite", "--data", str(tmp_path)])
    assert told.exit_code == 1
    assert told.stderr.startswith(f"error: no site runs on {tmp_path}")


class Copied:
    """A pack that opens, of one file: ``content``, which ought to be that of ``told``."""

    def __init__(self, told: Instance, content: bytes) -> None:
        self._told, self._content = told, content

    async def instances(self) -> AsyncIterator[Instance]:
        yield self._told

    async def instance(self, _: Instance) -> AsyncIterator[bytes]:
        for start in range(0, len(self._content), 100):
            yield self._content[start : start + 100]


@pytest.mark.parametrize("position", [None, 0, 231, 232, -1])
async def test_a_file_is_checked_before_and_within_its_data_set(
    monkeypatch: pytest.MonkeyPatch, position: int | None
) -> None:
    """A pack may have been sealed from something else than its manifest tells."""
    file, told = make_file(1)
    content = bytearray(file)
    if position is not None:
        content[position] ^= 1
    monkeypatch.setattr(fetch, "targets_of", lambda site: {"cloud-a": None})
    monkeypatch.setattr(fetch, "_reader", lambda *_: Copied(told, bytes(content)))
    output = io.BytesIO()
    read = read_instance(cast(Any, Namespace(targets="")), copy() | {"entry": 1}, output)
    if position is None:
        await read
        assert output.getvalue() == file
    else:
        with pytest.raises(NotThere, match="the copy is damaged"):
            await read
