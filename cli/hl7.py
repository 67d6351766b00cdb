"""``causeway hl7``: send HL7 v2 messages as a RIS would, and show what was answered."""

import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from enum import Enum
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
#: A receiver that is to answer errors alone (MSH-15, MSH-16: ER) is given so many seconds to do so.
_SILENCE = 2.0
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
    """What became of one message; ``code`` is MSA-1, empty when no answer came. Nothing of its content.

    ``silence`` says whether no answer is what the message asked for (MSH-15, MSH-16).
    """

    file: str
    number: int
    type: str
    code: str
    reason: str
    silence: bool = False

    @property
    def is_accepted(self) -> bool:
        """Whether the receiver took it, or was to say nothing and did."""
        return self.code in _ACCEPTED or (self.silence and not self.code)

    @property
    def shown(self) -> dict[str, str | int]:
        """What is told of it."""
        told = asdict(self)
        del told["silence"]
        return told


@app.command()
def send(files: Files, to: To = None, data: Data = None, json: Json = False, timeout: Timeout = 60.0) -> None:
    """Send every message in FILE… over MLLP, one after the other, and print the acknowledgement codes.

    A file holds messages bare or in MLLP frames; segments may end with CR, LF or CR LF, and each MSH begins a message.
    The exit status is 0 only if every message was accepted (AA or CA), or asked for no answer (NE in MSH-15 and MSH-16)
    and got none. What was answered before an error is printed.
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
    if not sent or not all(one.is_accepted for one in sent):
        raise typer.Exit(1)


def _tell(sent: list[Acknowledged], broken: str | None, as_json: bool) -> None:
    if as_json:
        emit_json({"messages": [one.shown for one in sent], "error": broken})
    elif sent or broken is None:
        table("Messages", ("file", "#", "type", "code", "reason"), (tuple(one.shown.values()) for one in sent))
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
                wanted = wanted_of(message)
                code, reason = outcome(connection.exchange(message, wanted))
                if not code and wanted is not Wanted.ALWAYS:
                    reason = "none wanted" if wanted is Wanted.NEVER else "none, as wanted unless it fails"
                silence = wanted is not Wanted.ALWAYS
                yield Acknowledged(str(file), number, message_type(message), code, reason, silence)


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
        self._received = bytearray()
        self._sent: set[bytes] = set()

    def exchange(self, message: bytes, wanted: "Wanted") -> bytes:
        """The answer to ``message``, empty when the receiver hung up or stayed silent; OSError when it is not there.

        It is not waited for where none is ``wanted``, and not for long where only an error is.
        """
        if self._socket is None:
            self._socket = socket.create_connection(self._to, self._timeout)
        try:
            self._socket.settimeout(self._timeout)
            self._socket.sendall(START + message + END)
            if wanted is Wanted.NEVER:
                return b""
            self._socket.settimeout(min(_SILENCE, self._timeout) if wanted is Wanted.ON_ERROR else self._timeout)
            return self._answer(self._socket, control_id(message))
        except TimeoutError:
            if wanted is Wanted.ALWAYS:
                self.close()
            return b""
        except OSError:
            self.close()
            return b""
        finally:
            self._sent.add(control_id(message))

    def _answer(self, connection: socket.socket, named: bytes) -> bytes:
        """The next answer that is not a late one to an earlier message."""
        while True:
            answer = self._frame(connection)
            told = _field(answer, b"MSA", 2)
            if told == named or told not in self._sent:
                return answer

    def _frame(self, connection: socket.socket) -> bytes:
        while END not in self._received:
            chunk = connection.recv(65_536)
            if not chunk:
                raise ConnectionResetError
            self._received += chunk
        frame, _, rest = bytes(self._received).partition(END)
        self._received[:] = rest
        return frame.lstrip(b"\r\n").removeprefix(START)

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._received.clear()


class Wanted(Enum):
    """When a message asks to be answered (HL7 v2 chapter 2, section 2.9.3)."""

    ALWAYS = "always"
    ON_ERROR = "on error"
    NEVER = "never"


def wanted_of(message: bytes) -> Wanted:
    """When MSH-15 and MSH-16 ask for any answer; always where neither says anything (original mode).

    SU asks for one if it was accepted: silence is no success then, so that it counts as always.
    """
    asked = {_field(message, b"MSH", number) for number in (15, 16)} - {b""}
    if not asked or asked & {b"AL", b"SU"}:
        return Wanted.ALWAYS
    return Wanted.ON_ERROR if b"ER" in asked else Wanted.NEVER


def control_id(message: bytes) -> bytes:
    """MSH-10."""
    return _field(message, b"MSH", 10)


def _field(message: bytes, segment: bytes, number: int) -> bytes:
    """A field of the first such segment, empty when there is none; MSH-1 is the separator itself."""
    separator = message[3:4] or b"|"
    fields = next((line.split(separator) for line in message.split(b"\r") if line.startswith(segment)), [])
    at = number - 1 if segment == b"MSH" else number
    return fields[at].strip() if len(fields) > at else b""


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
    silent = sum(one.is_accepted for one in sent) - accepted
    return f"{accepted} of {len(sent)} accepted" + (f", {silent} that wanted no answer" if silent else "")
