"""The MLLP server that the settings describe, and how strangers are read."""

from services.hl7_fhir.adapters.hall import Answer, Limits
from services.hl7_fhir.adapters.listener import Port, tls_ports
from services.hl7_fhir.adapters.maps import site_maps
from services.hl7_fhir.adapters.mllp import MllpServer
from services.hl7_fhir.config import Settings
from services.hl7_fhir.domain.clinical.record import Site
from services.hl7_fhir.domain.intake.senders import Sender


def mllp_server(settings: Settings, answer: Answer, refuse: Answer) -> MllpServer:
    """The server; OSError when a certificate cannot be used."""
    limits = Limits(
        connections=settings.mllp_connections,
        idle=settings.mllp_idle_timeout,
        message=settings.mllp_message_timeout,
    )
    files = (settings.mllp_tls_cert, settings.mllp_tls_key, settings.mllp_tls_client_ca)
    secured = tls_ports(
        settings.mllp_host,
        settings.mllp_tls_port,
        files,
        mutual=settings.mllp_tls_mutual,
        waiting=settings.mllp_connections,
    )
    ports = (Port(settings.mllp_host, settings.mllp_port), *secured)
    return MllpServer(ports=ports, answer=answer, refuse=refuse, limits=limits)


def strangers(settings: Settings) -> Sender:
    """How messages of senders are read who are not registered, and what entries of the registry leave out."""
    site = Site(
        zone=settings.zone,
        patient_issuer=settings.patient_issuer,
        order_issuer=settings.order_issuer,
        accession_fields=settings.accession_fields,
        maps=site_maps(settings.maps_file),
        provenance=settings.provenance,
    )
    return Sender(name="", site=site, charset=settings.hl7_charset)
