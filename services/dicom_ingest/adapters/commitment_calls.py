"""Reports on an association of our own to the peer's address, in the role of the SCP (PS3.4 section J.3.3)."""

import socket
import ssl
from collections.abc import Callable

from contracts.events import CommitmentDecided
from services.dicom_ingest.adapters.commitment_files import CommitmentFiles
from services.dicom_ingest.adapters.peers import peers_file
from services.dicom_ingest.config import Settings
from services.dicom_ingest.domain import call_backs, commitment
from services.dicom_ingest.domain.call_backs import NoCall
from services.dicom_ingest.domain.command import event_report
from services.dicom_ingest.domain.commitment import WELL_KNOWN_INSTANCE, read_callbacks
from services.dicom_ingest.domain.negotiation import COMMITMENT, PLAIN
from services.dicom_ingest.domain.peers import CallBack
from services.dicom_ingest.ports.commitment import NotReported, Reach
from shared.identity import SiteKey
from shared.requestor import Requestor, connect

#: Seconds for a connection, and for an answer.
_CONNECT, _ANSWER = 10.0, 60.0
#: What is proposed by id, the best first; what it is when it is accepted (PS3.8 table 9-18).
_CONTEXTS = {2 * number + 1: (COMMITMENT, syntax) for number, syntax in enumerate(PLAIN)}
_ACCEPTED = 0
_DAY = 86_400.0


def reach(settings: Settings, site_key: SiteKey) -> Reach:
    """How peers are reached: where the registry says, else where the settings do."""
    registry, settled = peers_file(settings.peers_file), read_callbacks(settings.commitment_callbacks)

    def callback(decision: CommitmentDecided) -> CallBack:
        found = call_backs.called(registry.get(), settled, decision.calling_ae, decision.peer, site_key)
        if isinstance(found, NoCall):
            raise NotReported(found.reason)
        return found

    return Reach(
        requests=CommitmentFiles(settings.spool_dir),
        calls=DicomCalls(lambda ca: tls_context(settings, ca)),
        remembered=lambda peer: call_backs.remembered(registry.get(), peer, site_key),
        callback=callback,
        give_up_after=settings.commitment_report_days * _DAY,
    )


def tls_context(settings: Settings, ca: str | None) -> ssl.SSLContext:
    """TLS as a client, with the certificate that we also serve with (PS3.15 section B.12); OSError.

    A peer's certificate is signed by the authority in ``ca``, else by that of clients, else by one the system knows.
    """
    authority = ca or settings.dicom_tls_client_ca
    context = ssl.create_default_context(cafile=str(authority) if authority else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.dicom_tls_cert is not None:
        context.load_cert_chain(settings.dicom_tls_cert, settings.dicom_tls_key)
    return context


class DicomCalls:
    """Calls peers; ``tls`` makes the context for those that want it, from the file of an authority if they have one."""

    def __init__(self, tls: Callable[[str | None], ssl.SSLContext]) -> None:
        self._tls = tls

    def report(self, decision: CommitmentDecided, callback: CallBack) -> int:
        """Call, report, hang up; the peer's status, or NotReported."""
        association = Requestor(
            self._connected(callback),
            _CONTEXTS,
            calling=decision.called_ae,
            called=callback.ae_title,
            timeout=_ANSWER,
            away=NotReported,
            scp_of=[COMMITMENT],
        )
        try:
            return _send(association, decision)
        finally:
            association.release()

    def _connected(self, callback: CallBack) -> socket.socket:
        try:
            context = self._tls(callback.ca) if callback.tls else None
        except OSError:
            raise NotReported("no-certificate") from None
        try:
            return connect(callback.host, callback.port, _CONNECT, context)
        except (OSError, ValueError):
            raise NotReported("peer-not-reached") from None


def _send(association: Requestor, decision: CommitmentDecided) -> int:
    context = next((number for number in _CONTEXTS if association.results.get(number) == _ACCEPTED), None)
    if context is None or COMMITMENT not in association.scp_roles:
        raise NotReported("peer-takes-no-reports")
    request = event_report(association.next_message(), COMMITMENT, WELL_KNOWN_INSTANCE, commitment.event_type(decision))
    _, transfer_syntax = _CONTEXTS[context]
    information = commitment.encode(commitment.information(decision), transfer_syntax)
    return association.ask(context, request, [information]).status or 0
