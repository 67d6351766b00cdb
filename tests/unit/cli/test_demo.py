"""The demonstration touches no folder but its own, and says so when something went wrong."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.demo.command import send_order, shortcomings
from cli.demo.folder import MARK, NotOurs, emptied
from cli.demo.report import Row
from cli.dicom_files import Outgoing, Problem, Skipped
from cli.dispatch import Report
from cli.main import app
from cli.site import Site
from tests.support.hl7 import END, START


@pytest.mark.parametrize("exists", [True, False])
def test_a_new_or_empty_folder_is_marked_and_may_be_emptied_later(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path / "demo"
    if exists:
        folder.mkdir()
    emptied(folder)
    (folder / "stores").mkdir()
    (folder / "stores" / "copy").touch()
    emptied(folder)
    assert [path.name for path in folder.iterdir()] == [MARK]


def test_what_a_link_points_to_is_not_removed(tmp_path: Path) -> None:
    folder, precious = tmp_path / "demo", tmp_path / "precious"
    (precious / "inside").mkdir(parents=True)
    (emptied(folder) / "link").symlink_to(precious)
    emptied(folder)
    assert (precious / "inside").exists() and not (folder / "link").is_symlink()


def test_a_site_that_is_no_demonstration_is_neither_stopped_nor_touched(tmp_path: Path) -> None:
    """Its supervisor is this test, which would not survive being ended."""
    site = Site(tmp_path)
    site.run.mkdir()
    site.state_file.write_text(json.dumps({"pid": os.getpid(), "endpoints": {}, "processes": {}}))
    told = CliRunner().invoke(app, ["demo", "--data", str(tmp_path)])
    assert told.exit_code == 1
    assert f"{tmp_path} is not empty and has no mark of a demonstration" in told.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["run", "site.json"]


def test_a_file_is_no_folder_for_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotOurs, match="File exists"):
        emptied(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_dicom_that_is_not_there_is_told_before_anything_is_touched(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["demo", "--data", str(tmp_path / "new"), "--dicom", str(tmp_path / "nothing")])
    assert told.exit_code == 1 and "no such file or folder" in told.stderr
    assert not (tmp_path / "new").exists()


def sent(uid: str) -> Outgoing:
    """A file that was acknowledged."""
    return Outgoing(Path(uid), 0, 1, "1.2", uid, "1.2.840.10008.1.2.1")


def row(uid: str, *places: str) -> Row:
    """A line of the table."""
    return Row("1", uid, "1.2.840.10008.1.2.1", tuple(enumerate(places)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("report", "rows", "told"),
    [
        (Report(sent=[sent("1")]), [row("1", "proven", "withheld: burned-in")], None),
        (Report(sent=[sent("1")], unsendable=[Problem(Path("x"), "no DICOM")]), [row("1", "proven")], None),
        (Report(sent=[sent("1")], skipped=[Skipped(Path("x"), "DICOMDIR")]), [row("1", "proven")], None),
        (Report(sent=[sent("1")], refused=[Problem(Path("x"), "A700")]), [row("1", "proven")], "not acknowledged: x"),
        (Report(sent=[sent("1"), sent("2")]), [row("1", "proven")], "acknowledged, and not to be found: 2"),
        (Report(sent=[sent("1")]), [row("1", "proven", "NOT PROVEN")], "neither proven nor withheld: 1"),
        (Report(), [], "nothing was acknowledged"),
    ],
)
def test_what_was_refused_or_lost_or_is_not_proven_is_told(report: Report, rows: list[Row], told: str | None) -> None:
    found = list(shortcomings(report, rows))
    assert len(found) == (told is not None)
    assert not told or found[0].startswith(told)


@pytest.fixture
def ris(tmp_path: Path) -> Iterator[tuple[Site, list[bytes]]]:
    """A site whose MLLP port answers with the codes in the list."""
    codes: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            while not connection.recv(65536).endswith(END):
                pass
            connection.sendall(START + b"MSH|^~\\&|\rMSA|" + codes[0] + b"|1\r" + END)

    threading.Thread(target=serve, daemon=True).start()
    site = Site(tmp_path)
    site.run.mkdir()
    site.state_file.write_text(json.dumps({"endpoints": {"mllp": f"127.0.0.1:{listener.getsockname()[1]}"}}))
    yield site, codes
    listener.close()


@pytest.mark.parametrize(("code", "problems"), [(b"AA", []), (b"AE", ["the order was answered AE, not AA"])])
def test_an_order_that_is_not_accepted_is_a_problem(
    ris: tuple[Site, list[bytes]], tmp_path: Path, code: bytes, problems: list[str]
) -> None:
    site, codes = ris
    codes.append(code)
    assert send_order(site, tmp_path) == problems
