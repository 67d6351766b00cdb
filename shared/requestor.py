"""One association as its requestor keeps it, on a blocking socket: for worker threads (PS3.8 section 9.2)."""

import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress

from shared import dimse
from shared.dimse import Pair, Pieces, Response
from shared.errors import RetryLater

#: Bytes of a PDU or a command set from the peer: answers are short.
_LONGEST_ANSWER = 1024 * 1024
#: Seconds for the answer to an A-RELEASE-RQ.
_RELEASE = 2.0


def connect(host: str, port: int, timeout: float, secured_by: ssl.SSLContext | None) -> socket.socket:
    """A connection, over TLS if there is a context for it; OSError or ValueError."""
    found = socket.create_connection((host, port), timeout=timeout)
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if secured_by is None:
        return found
    try:
        return secured_by.wrap_socket(found, server_hostname=host)
    except BaseException:
        found.close()
        raise


class Requestor:
    """Opened on construction; every method raises ``away`` with a code when the peer is gone or breaks the rules.

    The codes are ``not-proposable``, ``association-rejected``, ``association-aborted``, ``no-dicom``, ``no-answer``,
    ``connection-lost`` and ``tls-refused``.
    """

    def __init__(
        self,
        connection: socket.socket,
        contexts: Mapping[int, Pair],
        *,
        calling: str,
        called: str,
        timeout: float,
        away: type[RetryLater],
        scp_of: Iterable[str] = (),
    ) -> None:
        """Propose ``contexts`` by id, and for the SOP classes ``scp_of`` our role as SCP. ``timeout`` is seconds for a
        whole answer, and for each step of sending.
        """
        self._socket = connection
        self._timeout = timeout
        self._away = away
        self._messages = 0
        self._rest = b""
        #: Whether nothing is under way: else it can only be hung up on.
        self.is_clean = True
        try:
            self._associate(dict(contexts), calling, called, tuple(scp_of))
        except BaseException:
            self.close()
            raise

    def next_message(self) -> int:
        """The id of the next request."""
        self._messages = self._messages % 0xFFFF + 1
        return self._messages

    def ask(self, context: int, command_set: bytes, chunks: Iterable[bytes]) -> Response:
        """The answer to the last request, ``command_set`` with a data set. What ``chunks`` raises leaves an association
        that must be closed.
        """
        first = dimse.command(context, command_set)
        for pieces in dimse.fragments(chunks, context, self.room):
            self.is_clean = False
            self._send([*first, *pieces])
            first = []
        told = self._answer()
        self.is_clean = True
        return told

    def release(self) -> None:
        """End it in order, as far as the peer takes part; hang up where something is under way."""
        try:
            with suppress(self._away):
                if self.is_clean:
                    self._send([dimse.HEADER.pack(dimse.RELEASE_REQUEST, 4) + bytes(4)])
                    self._pdu(time.monotonic() + _RELEASE)
        finally:
            self.close()

    def close(self) -> None:
        """Hang up; ends what waits in another thread as well."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        finally:
            self._socket.close()

    def _associate(self, contexts: Mapping[int, Pair], calling: str, called: str, scp_of: tuple[str, ...]) -> None:
        try:
            asked = dimse.greeting(contexts, calling, called, scp_of)
        except ValueError:
            raise self._away("not-proposable") from None
        self._send([asked])
        kind, body = self._pdu(self._deadline())
        if kind == dimse.REJECT:
            raise self._away("association-rejected")
        if kind != dimse.ACCEPT:
            raise self._away("no-dicom")
        try:
            #: What became of each context (PS3.8 table 9-18), and the longest fragment that the peer takes.
            self.results, self.room = dimse.accepted(body)
            self.scp_roles = dimse.scp_roles(body)
        except ValueError:
            raise self._away("no-dicom") from None
        if self.room < 2:
            raise self._away("no-dicom")

    def _answer(self) -> Response:
        """The response to the last request; a data set that comes with it is heard out and dropped."""
        command, told, heard, until = b"", None, 0, self._deadline()
        while True:
            kind, body = self._pdu(until)
            heard += len(body)
            if kind != dimse.DATA or len(body) < 6 or heard > _LONGEST_ANSWER:
                raise self._away("association-aborted" if kind == dimse.ABORT else "no-dicom")
            for control, fragment in dimse.values(body):
                command += fragment if control & 1 else b""
                if control & 3 == 3:
                    told = self._judged(command)
                if told is not None and (control & 3 == 2 or not told.has_data_set):
                    return told

    def _judged(self, command: bytes) -> Response:
        told = dimse.response(command)
        if told.status is None or told.message_id != self._messages:
            raise self._away("no-dicom")
        return told

    def _deadline(self) -> float:
        return time.monotonic() + self._timeout

    def _send(self, pieces: Pieces) -> None:
        try:
            self._socket.settimeout(self._timeout)
            dimse.send(self._socket, pieces)
        except OSError as error:
            raise self._away(_lost(error)) from None

    def _pdu(self, until: float) -> tuple[int, bytes]:
        kind, length = dimse.HEADER.unpack(self._exactly(6, until))
        if length > _LONGEST_ANSWER:
            raise self._away("no-dicom")
        return kind, self._exactly(length, until)

    def _exactly(self, count: int, until: float) -> bytes:
        while len(self._rest) < count:
            left = until - time.monotonic()
            if left <= 0:
                raise self._away("no-answer")
            try:
                self._socket.settimeout(left)
                received = self._socket.recv(64 * 1024)
            except TimeoutError:
                raise self._away("no-answer") from None
            except OSError as error:
                raise self._away(_lost(error)) from None
            if not received:
                raise self._away("connection-lost")
            self._rest += received
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken


def _lost(error: OSError) -> str:
    """Why a connection is over: in TLS 1.3 a peer says only after the handshake that it does not believe us."""
    is_alert = isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or "")
    return "tls-refused" if is_alert else "connection-lost"
