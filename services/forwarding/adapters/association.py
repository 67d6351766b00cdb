"""One association with a destination, on blocking sockets: for worker threads."""

import socket
import ssl
from collections.abc import Iterator, Sequence

from services.forwarding.domain.answers import CREDENTIALS_UNREADABLE, DestinationAway
from services.forwarding.domain.destinations import Destination, Tls
from shared import dimse
from shared.dimse import Pair, Response
from shared.requestor import Requestor, connect

#: One association proposes at most so many contexts: their ids are the odd numbers of one byte (PS3.8 section 9.3.2.2).
MAX_CONTEXTS = 128
VERIFICATION: Pair = ("1.2.840.10008.1.1", "1.2.840.10008.1.2")


class Association(Requestor):
    """Opened on construction for these pairs of SOP class and transfer syntax; every method DestinationAway."""

    def __init__(self, destination: Destination, pairs: Sequence[Pair]) -> None:
        self.is_used = False
        self._ids = {pair: 2 * number + 1 for number, pair in enumerate(pairs)}
        super().__init__(
            _connected(destination),
            {number: pair for pair, number in self._ids.items()},
            calling=destination.calling_ae,
            called=destination.called_ae,
            timeout=destination.timeout,
            away=DestinationAway,
        )

    def result(self, pair: Pair) -> int | None:
        """What became of a proposal (PS3.8 table 9-18, 0 is acceptance); None when it was not proposed."""
        number = self._ids.get(pair)
        return None if number is None else self.results.get(number, 2)

    def store(self, pair: Pair, sop_instance: str, chunks: Iterator[bytes]) -> int:
        """The C-STORE status of one data set. Whatever ``chunks`` raises leaves an association that must be closed."""
        told = self.ask(self._ids[pair], dimse.store_request(pair[0], sop_instance, self.next_message()), chunks)
        self.is_used = True
        return told.status or 0

    def notify(self, pair: Pair, operation: str, sop_instance: str, data_set: bytes) -> Response:
        """The answer to an N-CREATE (``create``) or N-SET (``set``)."""
        request = dimse.notice_request(operation, pair[0], sop_instance, self.next_message())
        told = self.ask(self._ids[pair], request, [data_set])
        self.is_used = True
        return told


def _connected(destination: Destination) -> socket.socket:
    try:
        context = tls_context(destination.tls) if destination.tls else None
    except (OSError, ValueError):
        raise DestinationAway(CREDENTIALS_UNREADABLE) from None
    try:
        return connect(destination.host or "", destination.port or 0, destination.timeout, context)
    except (OSError, ValueError) as error:
        raise DestinationAway("tls-refused" if isinstance(error, ssl.SSLError) else "not-reachable") from None


def tls_context(tls: Tls) -> ssl.SSLContext:
    """TLS 1.2 or later with the certificates of now (PS3.15 section B.12)."""
    context = ssl.create_default_context(cafile=tls.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.cert_file:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    return context
