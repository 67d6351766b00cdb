"""One association with a destination, on blocking sockets: for worker threads."""

import socket
import ssl
from collections.abc import Iterator, Sequence

from services.forwarding.domain.answers import CREDENTIALS_UNREADABLE, DestinationAway
from services.forwarding.domain.destinations import Destination, Tls
from shared import dimse
from shared.dimse import Pair, Pieces, Response

#: One association proposes at most so many contexts: their ids are the odd numbers of one byte (PS3.8 section 9.3.2.2).
MAX_CONTEXTS = 128
VERIFICATION: Pair = ("1.2.840.10008.1.1", "1.2.840.10008.1.2")
#: Bytes of a PDU or a command set from the destination: answers are short.
_LONGEST_ANSWER = 1024 * 1024


class Association:
    """Opened on construction for these pairs of SOP class and transfer syntax; every method DestinationAway."""

    def __init__(self, destination: Destination, pairs: Sequence[Pair]) -> None:
        self._messages = 0
        self._rest = b""
        self.is_used = False
        #: Whether nothing is under way: else it can only be hung up.
        self.is_clean = True
        try:
            self._socket = _connect(destination)
        except (OSError, ValueError) as error:
            raise DestinationAway("tls-refused" if isinstance(error, ssl.SSLError) else "not-reachable") from None
        try:
            self._associate(destination, pairs)
        except BaseException:
            self.close()
            raise

    def result(self, pair: Pair) -> int | None:
        """What became of a proposal (PS3.8 table 9-18, 0 is acceptance); None when it was not proposed."""
        number = self._ids.get(pair)
        return None if number is None else self._results.get(number, 2)

    def store(self, pair: Pair, sop_instance: str, chunks: Iterator[bytes]) -> int:
        """The C-STORE status of one data set. Whatever ``chunks`` raises leaves an association that must be closed."""
        context = self._ids[pair]
        request = dimse.store_request(pair[0], sop_instance, self._next_message())
        first = dimse.command(context, request)
        for pieces in dimse.fragments(chunks, context, self._room):
            self.is_clean = False
            self._send([*first, *pieces])
            first = []
        status = self._answer().status or 0
        self.is_used = self.is_clean = True
        return status

    def notify(self, pair: Pair, operation: str, sop_instance: str, data_set: bytes) -> Response:
        """The answer to an N-CREATE (``create``) or N-SET (``set``)."""
        context = self._ids[pair]
        request = dimse.notice_request(operation, pair[0], sop_instance, self._next_message())
        self.is_clean = False
        self._send(dimse.command(context, request))
        for pieces in dimse.fragments([data_set], context, self._room):
            self._send(pieces)
        told = self._answer()
        self.is_used = self.is_clean = True
        return told

    def release(self) -> None:
        """End it in order, as far as the peer takes part."""
        try:
            self._socket.settimeout(2)
            self._send([dimse.HEADER.pack(dimse.RELEASE_REQUEST, 4) + bytes(4)])
            self._pdu()
        except DestinationAway:
            pass
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

    def _associate(self, destination: Destination, pairs: Sequence[Pair]) -> None:
        ids = {2 * number + 1: pair for number, pair in enumerate(pairs)}
        try:
            asked = dimse.greeting(ids, destination.calling_ae, destination.called_ae)
        except ValueError:
            raise DestinationAway("not-proposable") from None
        self._send([asked])
        kind, body = self._pdu()
        if kind == dimse.REJECT:
            raise DestinationAway("association-rejected")
        if kind != dimse.ACCEPT:
            raise DestinationAway("no-dicom")
        try:
            self._results, self._room = dimse.accepted(body)
        except ValueError:
            raise DestinationAway("no-dicom") from None
        if self._room < 2:
            raise DestinationAway("no-dicom")
        self._ids = {pair: number for number, pair in ids.items()}

    def _next_message(self) -> int:
        self._messages = self._messages % 0xFFFF + 1
        return self._messages

    def _answer(self) -> Response:
        """The response to the last message; a data set that comes with it is heard out and dropped."""
        command, told, heard = b"", None, 0
        while True:
            kind, body = self._pdu()
            heard += len(body)
            if kind != dimse.DATA or len(body) < 6 or heard > _LONGEST_ANSWER:
                raise DestinationAway("association-aborted" if kind == dimse.ABORT else "no-dicom")
            for control, fragment in dimse.values(body):
                command += fragment if control & 1 else b""
                if control & 3 == 3:
                    told = self._judged(command)
                if told is not None and (control & 3 == 2 or not told.has_data_set):
                    return told

    def _judged(self, command: bytes) -> Response:
        told = dimse.response(command)
        if told.status is None or told.message_id != self._messages:
            raise DestinationAway("no-dicom")
        return told

    def _send(self, pieces: Pieces) -> None:
        try:
            dimse.send(self._socket, pieces)
        except OSError as error:
            raise DestinationAway(_lost(error)) from None

    def _pdu(self) -> tuple[int, bytes]:
        kind, length = dimse.HEADER.unpack(self._exactly(6))
        if length > _LONGEST_ANSWER:
            raise DestinationAway("no-dicom")
        return kind, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        while len(self._rest) < count:
            try:
                received = self._socket.recv(64 * 1024)
            except TimeoutError:
                raise DestinationAway("no-answer") from None
            except OSError as error:
                raise DestinationAway(_lost(error)) from None
            if not received:
                raise DestinationAway("connection-lost")
            self._rest += received
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken


def _connect(destination: Destination) -> socket.socket:
    host, port = destination.host or "", destination.port or 0
    try:
        context = tls_context(destination.tls) if destination.tls else None
    except (OSError, ValueError):
        raise DestinationAway(CREDENTIALS_UNREADABLE) from None
    found = socket.create_connection((host, port), timeout=destination.timeout)
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context is None:
        return found
    try:
        return context.wrap_socket(found, server_hostname=host)
    except BaseException:
        found.close()
        raise


def _lost(error: OSError) -> str:
    """Why a connection is over: in TLS 1.3 a peer says only after the handshake that it does not believe us."""
    is_alert = isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or "")
    return "tls-refused" if is_alert else "connection-lost"


def tls_context(tls: Tls) -> ssl.SSLContext:
    """TLS 1.2 or later with the certificates of now (PS3.15 section B.12)."""
    context = ssl.create_default_context(cafile=tls.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.cert_file:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    return context
