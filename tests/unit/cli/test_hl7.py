"""An error in the middle of ``causeway hl7 send`` discards no answer."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from tests.support.hl7 import END, START, adt

ANSWER = START + b"MSH|^~\\&|A|B|C|D|20260101||ACK|1|P|2.5.1\rMSA|AA|1\r" + END


@pytest.fixture
def once() -> Iterator[int]:
    """The port of a receiver that answers one message and is gone."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        listener.close()
        with connection:
            while not connection.recv(65536).endswith(END):
                pass
            connection.sendall(ANSWER)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    thread.join(5)


@pytest.mark.parametrize("as_json", [True, False])
def test_what_was_answered_before_the_receiver_went_is_printed(once: int, tmp_path: Path, as_json: bool) -> None:
    file = tmp_path / "three.hl7"
    file.write_bytes(adt() * 3)
    told = CliRunner().invoke(app, ["hl7", "send", str(file), "--to", f"127.0.0.1:{once}", *["--json"] * as_json])
    assert told.exit_code == 1
    assert "Connection refused" in told.stderr
    if as_json:
        document = json.loads(told.stdout)
        assert [one["code"] for one in document["messages"]] == ["AA", ""]
        assert "Connection refused" in document["error"]
    else:
        assert "1 of 2 accepted" in told.stdout


def test_a_file_without_a_message_leaves_the_answers_to_those_before_it(once: int, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.hl7", tmp_path / "bad.hl7"
    good.write_bytes(adt())
    bad.write_text("no message")
    words = ["hl7", "send", str(good), str(bad), "--to", f"127.0.0.1:{once}", "--json"]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 1
    assert [one["code"] for one in json.loads(told.stdout)["messages"]] == ["AA"]
    assert "no HL7 message in it" in told.stderr
