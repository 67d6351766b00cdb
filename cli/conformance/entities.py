"""How associations begin and end: parameters, rejections, aborts, commitment (PS3.2 sections N.5.2.6, N.7.2, N.7.3)."""

from collections.abc import Callable

from cli.conformance import words
from cli.conformance.markdown import code, hexadecimal, table
from cli.conformance.scanning import reasons, refusals
from services.dicom_ingest.adapters import greeting
from services.dicom_ingest.config import Settings
from services.dicom_ingest.domain import commitment, part10
from services.tier_routing.domain import commitment as ledger

#: Of A-ASSOCIATE-RJ (PS3.8 table 9-21).
_RESULTS = {1: "rejected-permanent", 2: "rejected-transient"}
_SOURCES = {1: "service-user", 2: "service-provider (ACSE)", 3: "service-provider (presentation)"}
#: When each is given, by the name that it has in the code.
_WHEN = {
    "LOCAL_LIMIT_EXCEEDED": "one of `MAX_ASSOCIATIONS`, `…_PER_ADDRESS`, `…_PER_AE`, or `associations` of the peer is "
    "reached",
    "CALLED_AE_NOT_RECOGNIZED": "the called AE title is not among `DICOM_CALLED_AES`, or this peer may not call it",
    "CALLING_AE_NOT_RECOGNIZED": "the calling AE title is not among `DICOM_CALLING_AES`, is not registered, "
    "or the caller has neither the address nor the certificate of who is registered under it",
    "APPLICATION_CONTEXT_NOT_SUPPORTED": "the application context is not that of DICOM",
    "PROTOCOL_VERSION_NOT_SUPPORTED": "version 1 is not among the versions of the protocol that the caller speaks",
}
#: Of A-ABORT with source 2 (PS3.8 table 9-26).
_ABORTS = {
    0: "reason not specified",
    1: "unrecognized PDU",
    2: "unexpected PDU",
    4: "unrecognized PDU parameter",
    6: "invalid PDU parameter value",
}


def parameters() -> str:
    """The parameters of associations that INGEST accepts (table N.7-2)."""
    fields = Settings.model_fields
    rows = [
        ("Application Context Name", code(greeting.APPLICATION_CONTEXT)),
        ("Implementation Class UID", code(part10.IMPLEMENTATION_CLASS_UID)),
        ("Implementation Version Name", code(part10.IMPLEMENTATION_VERSION)),
        ("Maximum PDU length received", f"{fields['max_pdu'].default:,} bytes (`MAX_PDU`)"),
        ("Presentation contexts", f"at most {greeting.MAX_CONTEXTS}, also several for one SOP class"),
        ("ARTIM", f"{fields['artim'].default:g} s (`ARTIM`)"),
        ("Idle timeout", f"{fields['idle_timeout'].default:g} s (`IDLE_TIMEOUT`; `idle` of a peer)"),
        ("Simultaneous associations", f"{fields['max_associations'].default} (`MAX_ASSOCIATIONS`) in each process"),
        ("Asynchronous operations", "one at a time: a window that is proposed is answered with 1, 1"),
    ]
    return table(("name", "value"), rows)


def rejections() -> str:
    """Every A-ASSOCIATE-RJ that is given (PS3.8 section 9.3.4)."""
    found = {name: one for name, one in vars(greeting).items() if isinstance(one, greeting.Refusal)}
    rows = [
        (
            f"{one.result} {_RESULTS[one.result]}",
            f"{one.source} {_SOURCES[one.source]}",
            f"{one.reason} {name.replace('_', ' ').lower().replace('ae ', 'AE title ')}",
            _WHEN.get(name, name.replace("_", " ").lower()),
        )
        for name, one in sorted(found.items(), key=lambda row: (row[1].result, row[1].source, row[1].reason))
    ]
    return table(("result", "source", "reason", "when"), rows)


def aborts() -> str:
    """Every A-ABORT that is given by the rules of the protocol (PS3.8 section 9.3.8)."""
    found = refusals("BadPdu", ("services.dicom_ingest.adapters",))
    rows = [
        (f"{number} {_ABORTS[number or 0]}", words.meaning(words.REFUSED, reason)) for number, reason in reasons(found)
    ]
    rows.append((f"0 {_ABORTS[0]}", "a deadline has passed, the connection is lost, or another gets its place (below)"))
    return table(("reason (source 2)", "when"), sorted(rows))


def n_action() -> str:
    """The statuses of N-ACTION of the Storage Commitment Push Model as SCP (PS3.4 section J.3.2)."""
    found = refusals(
        "RequestRefused", ("services.dicom_ingest.domain.commitment", "services.dicom_ingest.handlers.commitment")
    )
    rows = [(hexadecimal(0), "the request is durable")]
    rows += [(hexadecimal(number or 0), words.meaning(words.COMMITMENT, reason)) for number, reason in reasons(found)]
    return table(("status", "when"), rows)


def n_event_report() -> str:
    """Failure reasons that are reported, and what follows from the answer (table N.5-16; PS3.4 section J.3.3)."""
    constants = {value: name for name, value in vars(ledger).items() if name in _REPORTED}
    rows = [(hexadecimal(number), _REPORTED[name]) for number, name in sorted(constants.items())]
    again = [hexadecimal(status) for status in range(0x0100, 0x0300) if not commitment.settles(status)]
    told = f"A report is made again after an answer of {' or '.join(again)}; any other answer ends it."
    return f"{table(('Failure Reason (0008,1197)', 'when'), rows)}\n\n{told}"


_REPORTED = {
    "PROCESSING_FAILURE": "versions of the instance differ and it is not sure which the peer means; or it is here and "
    "not secured in the time of policy (`commitment.secured`)",
    "NO_SUCH_INSTANCE": "it is not here in the time of policy (`commitment.wait`)",
    "CLASS_INSTANCE_CONFLICT": "it is here as an instance of another SOP class",
    "CLASS_NOT_SUPPORTED": "instances of its SOP class are not taken",
    "DUPLICATE_TRANSACTION": "the peer made another request under this Transaction UID",
    "RESOURCE_LIMITATION": "it is not secured in time because a target has no room",
}


PARTS: dict[str, Callable[[], str]] = {
    "association-parameters": parameters,
    "rejections": rejections,
    "aborts": aborts,
    "n-action": n_action,
    "n-event-report": n_event_report,
}
