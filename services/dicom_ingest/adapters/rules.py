"""The rules of the parts, from the settings."""

from services.dicom_ingest.adapters.association import AssociationRules
from services.dicom_ingest.adapters.describers import DescriberRules
from services.dicom_ingest.adapters.http_door import HttpDoor
from services.dicom_ingest.adapters.listener import ListenerRules
from services.dicom_ingest.adapters.outbox import Outbox
from services.dicom_ingest.adapters.pacing import Paces
from services.dicom_ingest.adapters.pdus import PduLimits
from services.dicom_ingest.adapters.peers import Door, peers_file
from services.dicom_ingest.adapters.room import DiskRoom
from services.dicom_ingest.adapters.step_files import StepFiles
from services.dicom_ingest.adapters.tls import TlsPort
from services.dicom_ingest.config import Settings
from services.dicom_ingest.domain.batches import BatchRules
from services.dicom_ingest.domain.negotiation import SERVICES, STEPS
from services.dicom_ingest.domain.step import StepRules
from shared.tls import TlsFiles


def describer_rules(settings: Settings) -> DescriberRules:
    """How batches are described."""
    return DescriberRules(
        processes=settings.landing_processes,
        memory=settings.landing_memory,
        site_key_file=settings.site_key_file,
        patient_issuer=settings.patient_issuer,
        order_issuer=settings.order_issuer,
    )


def disk_room(settings: Settings, outbox: Outbox) -> DiskRoom:
    """What is refused, and what is slowed down, for the disk's sake."""
    return DiskRoom(
        settings.spool_dir,
        settings.disk_reserve,
        settings.disk_factor,
        outbox.waiting,
        outbox.behind,
        settings.landing_backlog,
    )


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


def http_door(associations: AssociationRules) -> HttpDoor:
    """Who may send over HTTP; a peer has one rate for both doors."""
    return HttpDoor(associations.door.registry, associations.paces)


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
        services=SERVICES if settings.mpps == "off" else SERVICES | {STEPS},
    )


def step_reports(settings: Settings) -> tuple[StepFiles, StepRules]:
    """Where reports on procedure steps are kept, and what is taken."""
    return StepFiles(settings.spool_dir), StepRules(settings.mpps, settings.mpps_keep_days * 86_400)
