"""``causeway hl7``: send HL7 v2 messages as a RIS would, and show what was answered."""

import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from cli import receivers
from cli.options import Data, Json, site_of
from cli.output import emit_json, fail, say, table
from cli.site import SiteDown

START, END = b"\x0b", b"\x1c\r"
_ACCEPTED = frozenset(("AA", "CA"))
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BATCH = frozenset((b"FHS", b"BHS", b"BTS", b"FTS"))
#: Where a bare message begins: MSH and its field separator at the start of a line, whatever ends that line.
_BEGINNING = re.compile(rb"(?:\A|(?<=[\r\n]))(?=MSH[^\w\s])")

app = typer.Typer(no_args_is_help=True, help="Send HL7 v2 messages over MLLP; see who gets them from here.")
app.add_typer(receivers.app, name="receivers")

To = Annotated[str | None, typer.Option("--to", metavar="HOST:PORT", help="Where to send (default: the site's MLLP).")]
Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE…", exists=True, dir_okay=False, help="Files with one or many messages each."),
]
Timeout = Annotated[float, typer.Option("--timeout", metavar="S", min=0.1, help="Seconds to wait for each answer.")]


@dataclass(frozen=True)
class Acknowledged:
    """What became of one message; ``code`` is MSA-1, empty when no answer came. Nothing of its content."""

    file: str
    number: int
    type: str
    code: str
    reason: str


@app.command()
def send(files: Files, to: To = None, data: Data = None, json: Json = False, timeout: Timeout = 60.0) -> None:
    """Send every message in FILE… over MLLP, one after the other, and print the acknowledgement codes.

    A file holds messages bare or in MLLP frames; segments may end with CR, LF or CR LF, and each MSH begins a message.
    The exit status is 0 only if every message was accepted (AA or CA). What was answered before an error is printed.
    """
    sent: list[Acknowledged] = []
    broken = None
    try:
        for one in exchange(files, address(to or _mllp_of_site(data)), timeout):
            sent.append(one)  # one by one: an error in the middle leaves what was answered before it
    except (OSError, ValueError) as error:
        broken = str(error)
    _tell(sent, broken, json)
    if broken is not None:
        fail(broken)
    if not sent or any(one.code not in _ACCEPTED for one in sent):
        raise typer.Exit(1)


def _tell(sent: list[Acknowledged], broken: str | None, as_json: bool) -> None:
    if as_json:
        emit_json({"messages": [asdict(one) for one in sent], "error": broken})
    elif sent or broken is None:
        table("Messages", ("file", "#", "type", "code", "reason"), (tuple(asdict(one).values()) for one in sent))
        say(_summary(sent))


def send_files(files: Iterable[Path], host: str, port: int, timeout: float = 60.0) -> list[str]:
    """The acknowledgement code of each message in ``files``, sent over one connection; errors as ``exchange``."""
    return [one.code for one in exchange(files, (host, port), timeout)]


def exchange(files: Iterable[Path], to: tuple[str, int], timeout: float) -> Iterator[Acknowledged]:
    """Send each message of ``files``; OSError when nobody listens, ValueError for a file without a message."""
    with closing(Connection(to, timeout)) as connection:
        for file in files:
            found = messages(file.read_bytes())
            if not found:
                raise ValueError(f"{file}: no HL7 message in it")
            for number, message in enumerate(found, 1):
                code, reason = outcome(connection.exchange(message))
                yield Acknowledged(str(file), number, message_type(message), code, reason)


def messages(content: bytes) -> list[bytes]:
    """The messages in a file, each with CR after its segments (HL7 v2 chapter 2, section 2.5.2).

    Framed ones are taken as they are between their frames. Bare ones begin at each line that begins with MSH; lines
    of a batch (FHS, BHS, BTS, FTS) are left out.
    """
    if START in content:
        framed = re.findall(rb"\x0b(.*?)\x1c\r?", content, re.DOTALL)
        return [message for message in framed if message.strip()]
    bare = _BEGINNING.split(content.removeprefix(_BYTE_ORDER_MARK))
    return [message for message in map(_message, bare) if message.startswith(b"MSH")]


def _message(content: bytes) -> bytes:
    """One bare message. Its first line end is its terminator: with CR, a line feed inside a field is text."""
    end = re.search(rb"\r\n|\r|\n", content)
    lines = [line.strip(b"\r\n") for line in content.split(end.group() if end else b"\r")]
    return b"".join(line + b"\r" for line in lines if line.strip() and line[:3] not in _BATCH)


class Connection:
    """A sender's side of MLLP that connects again when the receiver hung up."""

    def __init__(self, to: tuple[str, int], timeout: float) -> None:
        self._to = to
        self._timeout = timeout
        self._socket: socket.socket | None = None

    def exchange(self, message: bytes) -> bytes:
        """The answer to ``message``, empty when the receiver hung up or stayed silent; OSError when it is not there."""
        if self._socket is None:
            self._socket = socket.create_connection(self._to, self._timeout)
        try:
            self._socket.sendall(START + message + END)
            return self._answer(self._socket)
        except OSError:
            self.close()
            return b""

    def _answer(self, connection: socket.socket) -> bytes:
        received = bytearray()
        while not received.endswith(END):
            chunk = connection.recv(65_536)
            if not chunk:
                raise ConnectionResetError
            received += chunk
        return bytes(received).strip(START + END)

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def outcome(answer: bytes) -> tuple[str, str]:
    """MSA-1 and, of a refusal, where and why as ERR tells (never a value of the message)."""
    lines = answer.split(b"\r")
    separator = answer[3:4] or b"|"
    msa = next((line.split(separator) for line in lines if line.startswith(b"MSA")), [])
    err = next((line.split(separator) for line in lines if line.startswith(b"ERR")), [])
    code = msa[1].decode("latin-1") if len(msa) > 1 else ""
    told = [part.decode("latin-1") for part in err[1:] if part and part != b"E"]
    return code, " ".join(told) if answer else "no answer"


def message_type(message: bytes) -> str:
    """MSH-9 such as ``ADT^A08``, empty when there is none."""
    fields = message.split(b"\r", 1)[0].split(message[3:4] or b"|")
    return fields[8].decode("latin-1")[:20] if len(fields) > 8 else ""


def address(text: str) -> tuple[str, int]:
    """The host and port in ``host:port``; ValueError when it is neither."""
    host, _, port = text.removeprefix("mllp://").rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"not HOST:PORT: {text}")
    return host.strip("[]"), int(port)


def _mllp_of_site(data: Path | None) -> str:
    try:
        return site_of(data).endpoints()["mllp"]
    except SiteDown as error:
        fail(str(error))


def _summary(sent: list[Acknowledged]) -> str:
    accepted = sum(one.code in _ACCEPTED for one in sent)
    return f"{accepted} of {len(sent)} accepted"
