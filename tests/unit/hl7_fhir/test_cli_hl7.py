"""``causeway hl7 send``: any file a RIS may write, one code per message, success only for acceptance."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner, Result

from cli.hl7 import address, messages, send_files
from cli.main import app
from services.hl7_fhir.adapters.mllp import MllpServer, Port
from services.hl7_fhir.domain.intake.senders import Origin
from tests.support.hl7 import END, START, adt, orm
from tests.unit.hl7_fhir.test_messages import Kept, desk


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[MllpServer, Kept]]:
    journal = Kept()
    taking = desk(journal).messages
    server = MllpServer(ports=(Port("127.0.0.1", 0),), answer=taking.arrived, refuse=taking.oversize)
    task = asyncio.create_task(server.run())
    await server.listening.wait()
    yield server, journal
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The receiver runs in this process: its log would stand in the command's output."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    yield
    structlog.reset_defaults()


async def run(server: MllpServer, *words: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["hl7", "send", *words, "--to", f"127.0.0.1:{server.port}"])


def written(folder: Path, content: bytes) -> str:
    path = folder / "messages.hl7"
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
@pytest.mark.parametrize("between", [b"", b"\n\n", b"\r\n"])
def test_a_file_holds_many_bare_messages_with_any_line_ends(end: bytes, between: bytes) -> None:
    content = adt().replace(b"\r", end) + between + orm().replace(b"\r", end)
    assert messages(content) == [adt(), orm()]


def test_a_file_may_hold_mllp_frames_which_are_sent_as_they_are() -> None:
    assert messages(START + adt() + END + b"\n" + START + orm() + END) == [adt(), orm()]


def test_a_batch_is_sent_message_by_message() -> None:
    batch = b"FHS|^~\\&\rBHS|^~\\&\r" + adt() + orm() + b"BTS|2\rFTS|1\r"
    assert messages(batch) == [adt(), orm()]


def test_a_byte_order_mark_is_no_part_of_a_message() -> None:
    assert messages(b"\xef\xbb\xbf" + adt()) == [adt()]


def test_msh_inside_a_field_begins_no_message() -> None:
    content = adt(pid="PID|1||P1||MSH|||MSHX|MSH|1")
    assert messages(content) == [content]


@pytest.mark.parametrize("text", ["127.0.0.1:2575", "mllp://127.0.0.1:2575"])
def test_an_address_is_host_and_port(text: str) -> None:
    assert address(text) == ("127.0.0.1", 2575)


async def test_every_message_is_sent_and_its_code_printed(receiver: tuple[MllpServer, Kept], tmp_path: Path) -> None:
    server, journal = receiver
    result = await run(server, written(tmp_path, adt() + orm()))
    assert result.exit_code == 0
    assert "2 of 2 accepted" in result.output
    assert [entry.arrival.content for entry in journal.entries] == [adt(), orm()]


async def test_one_refusal_is_no_success(receiver: tuple[MllpServer, Kept], tmp_path: Path) -> None:
    server, _ = receiver
    result = await run(server, written(tmp_path, adt() + orm().replace(b"ORC|NW", b"ORC|")), "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)["messages"]
    assert [(one["type"], one["code"]) for one in told] == [("ADT^A04", "AA"), ("ORM^O01", "AE")]
    assert "ORC^1^1" in told[1]["reason"]


async def test_a_silent_receiver_is_no_success(tmp_path: Path) -> None:
    async def swallow(content: bytes, _: Origin) -> tuple[bytes, ...]:
        await asyncio.sleep(3600)
        return (content,)

    server = MllpServer(ports=(Port("127.0.0.1", 0),), answer=swallow, refuse=swallow)
    task = asyncio.create_task(server.run())
    await server.listening.wait()
    result = await run(server, written(tmp_path, adt()), "--timeout", "0.2", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["messages"][0]["reason"] == "no answer"
    task.cancel()


def asking(accept: str, application: str, control_id: str, broken: bool = False) -> bytes:
    """An order with MSH-15 and MSH-16."""
    content = orm(control_id=control_id)
    header, _, rest = content.partition(b"\r")
    fields = header.split(b"|")
    fields += [b""] * (16 - len(fields))
    fields[14:16] = accept.encode(), application.encode()
    return (b"|".join(fields) + b"\r" + rest).replace(b"ORC|NW", b"ORC|" if broken else b"ORC|NW")


async def test_an_answer_that_a_message_does_not_want_is_not_waited_for(
    receiver: tuple[MllpServer, Kept], tmp_path: Path
) -> None:
    server, journal = receiver
    content = asking("NE", "NE", "1") + asking("NE", "", "2") + adt(control_id="3") + asking("", "NE", "4")
    result = await run(server, written(tmp_path, content), "--timeout", "3600", "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)["messages"]
    assert [one["code"] for one in told] == ["", "", "AA", ""]
    assert {one["reason"] for one in told if not one["code"]} == {"none wanted"}
    while len(journal.entries) < 4:
        await asyncio.sleep(0.01)


async def test_of_a_message_that_asks_for_errors_alone_silence_is_a_success_and_an_error_is_told(
    receiver: tuple[MllpServer, Kept], tmp_path: Path
) -> None:
    fine, broken = asking("ER", "NE", "1"), asking("ER", "NE", "2", broken=True)
    result = await run(receiver[0], written(tmp_path, fine + adt(control_id="3")), "--timeout", "3600", "--json")
    assert (result.exit_code, [one["code"] for one in json.loads(result.stdout)["messages"]]) == (0, ["", "AA"])
    result = await run(receiver[0], written(tmp_path, broken + adt(control_id="3")), "--timeout", "3600", "--json")
    assert (result.exit_code, [one["code"] for one in json.loads(result.stdout)["messages"]]) == (1, ["CE", "AA"])


async def test_the_second_answer_to_a_message_is_none_to_the_next(
    receiver: tuple[MllpServer, Kept], tmp_path: Path
) -> None:
    content = asking("AL", "AL", "1") + adt(control_id="2") + asking("AL", "AL", "3") + asking("NE", "AL", "4")
    result = await run(receiver[0], written(tmp_path, content), "--json")
    assert [one["code"] for one in json.loads(result.stdout)["messages"]] == ["CA", "AA", "CA", "AA"]


@pytest.mark.parametrize("content", [b"", b"no message", b"PID|1"])
async def test_a_file_without_a_message_is_an_error(
    receiver: tuple[MllpServer, Kept], tmp_path: Path, content: bytes
) -> None:
    result = await run(receiver[0], written(tmp_path, content))
    assert result.exit_code == 1


async def test_nobody_listening_is_an_error(tmp_path: Path, free_port: int) -> None:
    path = written(tmp_path, adt())
    result = await asyncio.to_thread(CliRunner().invoke, app, ["hl7", "send", path, "--to", f"127.0.0.1:{free_port}"])
    assert result.exit_code == 1


async def test_codes_can_be_had_from_python(receiver: tuple[MllpServer, Kept], tmp_path: Path) -> None:
    path = Path(written(tmp_path, adt() + adt()))
    assert await asyncio.to_thread(send_files, [path], "127.0.0.1", receiver[0].port) == ["AA", "AA"]
