"""The rules of the parts, from the settings."""

from services.dicom_ingest.adapters.association import AssociationRules
from services.dicom_ingest.adapters.listener import ListenerRules
from services.dicom_ingest.adapters.pacing import Paces
from services.dicom_ingest.adapters.pdus import PduLimits
from services.dicom_ingest.adapters.peers import Door, peers_file
from services.dicom_ingest.adapters.tls import TlsFiles, TlsPort
from services.dicom_ingest.config import Settings
from services.dicom_ingest.domain.batches import BatchRules


def batch_rules(settings: Settings) -> BatchRules:
    """When a batch is full or done."""
    return BatchRules(
        max_bytes=settings.batch_bytes,
        max_instances=settings.batch_instances,
        quiet=settings.batch_quiet,
        quiet_after_end=settings.batch_quiet_after_end,
        max_open=settings.max_open_batches,
    )


def listener_rules(settings: Settings) -> ListenerRules:
    """Where to listen, and for how many."""
    return ListenerRules(
        host=settings.dicom_host,
        port=settings.dicom_port,
        most=settings.max_associations,
        most_per_address=settings.max_associations_per_address,
        shared_port=settings.dicom_shared_port,
        grace=settings.drain_grace,
        tls_port=settings.dicom_tls_port,
        tls=tls_port(settings),
    )


def tls_port(settings: Settings) -> TlsPort | None:
    """How connections to the second port are secured; None without one."""
    if settings.dicom_tls_port is None or settings.dicom_tls_cert is None or settings.dicom_tls_key is None:
        return None
    files = TlsFiles(settings.dicom_tls_cert, settings.dicom_tls_key, settings.dicom_tls_client_ca)
    return TlsPort(files, mutual=settings.dicom_tls_mutual, deadline=settings.tls_handshake_deadline)


def association_rules(settings: Settings) -> AssociationRules:
    """What a peer must keep to."""
    return AssociationRules(
        artim=settings.artim,
        idle=settings.idle_timeout,
        limits=PduLimits(
            header_deadline=settings.pdu_header_deadline,
            min_throughput=settings.min_throughput,
            max_associate=settings.max_associate_pdu,
            max_data=settings.max_pdu,
        ),
        door=Door(
            registry=peers_file(settings.peers_file),
            called=settings.dicom_called_aes,
            calling=settings.dicom_calling_aes,
            most_per_ae=settings.max_associations_per_ae,
        ),
        paces=Paces(),
    )
