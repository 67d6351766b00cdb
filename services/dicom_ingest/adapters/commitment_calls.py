"""Reports on an association of our own to the peer's address, in the role of the SCP (PS3.4 section J.3.3)."""

import ssl
from collections.abc import Callable
from typing import Any

from pynetdicom import AE, build_role

from contracts.events import CommitmentDecided
from services.dicom_ingest.adapters.commitment_files import CommitmentFiles
from services.dicom_ingest.adapters.peers import peers_file
from services.dicom_ingest.config import Settings
from services.dicom_ingest.domain import commitment, part10
from services.dicom_ingest.domain.commitment import WELL_KNOWN_INSTANCE, read_callbacks
from services.dicom_ingest.domain.negotiation import COMMITMENT, PLAIN
from services.dicom_ingest.domain.peers import CallBack
from services.dicom_ingest.ports.commitment import NotReported, Reach

_CONNECT, _ANSWER = 10.0, 60.0
_DAY = 86_400.0


def reach(settings: Settings) -> Reach:
    """How peers are reached: where the registry says, else where the settings do."""
    registry, settled = peers_file(settings.peers_file), read_callbacks(settings.commitment_callbacks)

    def callback(calling_ae: str) -> CallBack | None:
        known = registry.get()
        peers = known.find(calling_ae) if known is not None else ()
        return next((peer.call_back for peer in peers if peer.call_back), settled.get(calling_ae))

    return Reach(
        requests=CommitmentFiles(settings.spool_dir),
        calls=DicomCalls(lambda ca: tls_context(settings, ca)),
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
        entity = AE(decision.called_ae)
        entity.connection_timeout = _CONNECT
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _ANSWER
        entity.implementation_class_uid = part10.IMPLEMENTATION_CLASS_UID
        entity.implementation_version_name = part10.IMPLEMENTATION_VERSION
        entity.add_requested_context(COMMITMENT, list(PLAIN))
        association = entity.associate(
            callback.host,
            callback.port,
            ae_title=callback.ae_title,
            ext_neg=[build_role(COMMITMENT, scp_role=True)],
            tls_args=self._tls_arguments(callback),
        )
        if not association.is_established:
            raise NotReported("peer-not-reached" if not association.is_rejected else "peer-rejects")
        try:
            return _send(association, decision)
        finally:
            association.release()

    def _tls_arguments(self, callback: CallBack) -> tuple[ssl.SSLContext, str] | None:
        if not callback.tls:
            return None
        try:
            return self._tls(callback.ca), callback.host
        except OSError:
            raise NotReported("no-certificate") from None


def _send(association: Any, decision: CommitmentDecided) -> int:
    try:
        status, _ = association.send_n_event_report(
            commitment.information(decision), commitment.event_type(decision), COMMITMENT, WELL_KNOWN_INSTANCE
        )
    except ValueError:
        raise NotReported("peer-takes-no-reports") from None
    if "Status" not in status:
        raise NotReported("peer-does-not-answer")
    return int(status.Status)
