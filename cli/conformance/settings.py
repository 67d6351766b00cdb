"""Configuration: the settings that DICOM peers notice, with their defaults (PS3.2 section N.6)."""

from collections.abc import Callable
from typing import Any

from cli.conformance.markdown import code, table
from services.dicom_ingest.config import Settings

#: What each does, by the name of its field: sizes are bytes, times seconds.
MEANINGS = {
    "dicom_host": "address that is listened on",
    "dicom_port": "port",
    "dicom_receiver": "which implementation of the upper layer serves associations; both behave alike",
    "dicom_shared_port": "whether several processes share the port",
    "peers_file": "the AE registry; without it everybody may send",
    "dicom_called_aes": "AE titles that are answered; empty: any",
    "dicom_calling_aes": "AE titles that may call; empty: any",
    "dicom_tls_port": "port for DICOM over TLS; without it there is none",
    "dicom_tls_cert": "our certificate with its chain, PEM",
    "dicom_tls_key": "its key, PEM",
    "dicom_tls_client_ca": "who signs the certificates of peers, PEM",
    "dicom_tls_mutual": "whether a peer must show a certificate",
    "max_associations": "associations at a time in one process",
    "max_associations_per_address": "of them from one address",
    "max_associations_per_ae": "of them of one calling AE title; `associations` of a peer",
    "max_associate_pdu": "longest A-ASSOCIATE-RQ, bytes",
    "max_pdu": "longest P-DATA-TF that is received, bytes",
    "artim": "until the A-ASSOCIATE-RQ begins, s",
    "pdu_header_deadline": "for the header of a PDU once it has begun, s",
    "idle_timeout": "between two PDUs, s; `idle` of a peer",
    "tls_handshake_deadline": "for a TLS handshake, s",
    "min_throughput": "slowest rate within a PDU, bytes/s",
    "drain_grace": "for associations when the process ends, s",
    "max_instance": "largest data set, bytes",
    "max_instance_by_class": "the same by SOP Class UID",
    "header_depth": "sequences within one another that are read; beyond it a header is opaque",
    "header_elements": "elements of a header that are read; likewise",
    "header_items": "items of its sequences that are read; likewise",
    "inflate_bytes": "what a deflated data set may grow to while its header is read, bytes",
    "inflate_ratio": "and how many times its size",
    "disk_reserve": "refused with A700H (507 over HTTP) while less is free, bytes",
    "disk_factor": "and while less is free than this many times what waits in the spool",
    "stow_max_requests": "store requests at a time in one process",
    "stow_max_parts": "parts of one request",
    "stow_max_header": "longest header line of a part, bytes",
    "stow_max_request": "largest body, bytes",
    "commitment_callbacks": "where peers without a `call_back` are told of commitment: `AE=host:port,…`",
    "commitment_report_days": "for so long a peer that is not reached is tried, days",
    "patient_issuer": "Issuer of Patient ID where a data set names none",
    "order_issuer": "the same of accession numbers",
    "mpps": "whether performed procedure steps are taken: `off`, `relay`, `own`",
    "mpps_keep_days": "for so long a step is kept after its last report, days",
}
#: What no peer notices: how received instances are grouped, landed and told.
INSIDE = frozenset(
    {
        "spool_dir",
        "spool_storage",
        "landing_url",
        "landing_workers",
        "landing_processes",
        "landing_memory",
        "landing_seconds",
        "landing_backlog",
        "batch_bytes",
        "batch_instances",
        "batch_quiet",
        "batch_quiet_after_end",
        "max_open_batches",
        "crash_at",
    }
)


def parameters() -> str:
    """Every setting of INGEST that a peer may notice (table N.6-1)."""
    fields = {name: field for name, field in Settings.model_fields.items() if name in MEANINGS}
    rows = [(code(f"CAUSEWAY_{name.upper()}"), _default(field), MEANINGS[name]) for name, field in fields.items()]
    return table(("parameter", "default", "meaning"), rows)


def _default(field: Any) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None or value in ("", frozenset(), {}):
        return "–"
    return code(f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) and value > 65535 else value)


PARTS: dict[str, Callable[[], str]] = {"parameters": parameters}
