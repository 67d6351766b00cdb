"""What ``causeway send`` counts: acknowledged is only what the receiver took."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage
from typer.testing import CliRunner

from cli.main import app
from cli.send import send
from tests.support.instances import as_file, make_instances

SUCCESS, OUT_OF_RESOURCES = 0x0000, 0xA700


@pytest.fixture
def receiver() -> Iterator[int]:
    """The port of one that takes every other image."""
    statuses = [SUCCESS, OUT_OF_RESOURCES] * 10

    def stored(_: evt.Event) -> int:
        return statuses.pop(0)

    entity = AE()
    entity.add_supported_context(CTImageStorage)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, stored)])
    assert server is not None
    yield server.server_address[1]
    server.shutdown()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four images, and a file that is none."""
    for number, image in enumerate(make_instances(4)):
        (tmp_path / f"{number}.dcm").write_bytes(as_file(image))
    (tmp_path / "5.txt").write_text("no DICOM")
    return tmp_path


def test_progress_counts_what_was_acknowledged_apart_from_what_is_done(receiver: int, folder: Path) -> None:
    told: list[tuple[int, int, int]] = []
    report = send([folder], host="127.0.0.1", port=receiver, on_progress=lambda *counts: told.append(counts))
    assert [(done, acknowledged) for done, acknowledged, _ in told] == [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)]
    assert told[-1][2] == report.bytes


def test_what_never_left_and_what_was_refused_are_told_apart(receiver: int, folder: Path) -> None:
    report = send([folder], host="127.0.0.1", port=receiver)
    assert [problem.path.name for problem in report.unsendable] == ["5.txt"]
    assert ["A700" in problem.why for problem in report.refused] == [True, True]
    assert report.failed == [*report.unsendable, *report.refused]


def test_the_rates_are_in_the_document(receiver: int, folder: Path) -> None:
    told = CliRunner().invoke(app, ["send", str(folder), "--to", f"127.0.0.1:{receiver}", "--json"])
    document = json.loads(told.stdout)
    assert told.exit_code == 1
    assert document["sent"] == 2
    rates = document["megabytes_per_second"], document["instances_per_second"]
    assert rates[0] / rates[1] == pytest.approx(document["bytes"] / 2 / 1e6, rel=0.05)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--tls",), "say with --to HOST:PORT who speaks TLS"),
        (("--tls", "--to", "localhost:2762", "--cert", "c.pem"), "--cert and --key go together"),
        (("--to", "localhost:2762", "--ca", "ca.pem"), "--ca, --cert and --key are for --tls"),
    ],
)
def test_options_of_tls_are_wanted_together(folder: Path, words: tuple[str, ...], told: str) -> None:
    answer = CliRunner().invoke(app, ["send", str(folder), *words])
    assert (answer.exit_code, told in answer.stderr) == (2, True)


@pytest.mark.parametrize("title", ["SEVENTEEN_LETTERS", "", "  ", "A\\B", "RÖNTGEN"])
@pytest.mark.parametrize("option", ["--calling-ae", "--called-ae"])
def test_a_title_that_is_none_ends_it_before_anybody_is_called(folder: Path, option: str, title: str) -> None:
    answer = CliRunner().invoke(app, ["send", str(folder), "--to", "127.0.0.1:9", option, title])
    assert (answer.exit_code, "no AE title" in answer.stderr) == (2, True)


def test_files_that_are_no_certificates_end_it_before_anybody_is_called(folder: Path) -> None:
    for name in ("5.txt", "not-there.pem"):
        answer = CliRunner().invoke(
            app, ["send", str(folder), "--tls", "--to", "127.0.0.1:9", "--ca", str(folder / name)]
        )
        assert answer.exit_code == 1
        assert "cannot be used for TLS" in answer.stderr
