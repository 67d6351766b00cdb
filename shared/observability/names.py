"""The registry: every name that may appear in a span, a log line or a metric, and what its value may look like.

It is an allow-list. A key that is not here is dropped, and so is a value that is not of its key's kind: an identifier
of a person cannot be written by forgetting to think of it. A DICOM UID starts with a digit, so it is no NAME; a name of
a person has capitals or a caret.
"""

import re
from dataclasses import dataclass
from typing import Literal

#: Random or keyed ids in hexadecimal, and UUIDs; too long to be a date or a patient's number.
OPAQUE = re.compile(r"[0-9a-f][0-9a-f-]{15,63}")
#: What this code base or an operator has named: subjects, consumers, services, targets, tiers, codes.
NAME = re.compile(r"[a-z][a-z0-9_.:{}<>*/+-]{0,119}")
#: A route as the route table writes it, never a path as it was asked for.
ROUTE = re.compile(r"/[A-Za-z_./{}:-]{0,119}")
#: A class of Python, told by its name alone.
CLASS = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,119}")
#: ``folder/module.py:12 function``, one per frame.
FRAME = re.compile(r"[A-Za-z0-9_./<>-]{1,200}:\d{1,6}( [A-Za-z0-9_<>.]{1,100})?")
#: An RFC 3339 time of this process, not of a patient's record.
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
#: An IP address of version 4 or 6 (RFC 4291 section 2.2): of who was denied, never of a modality.
ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}|[0-9a-f]{0,4}(:[0-9a-f]{0,4}){2,7}")
#: A number or a truth value.
NUMBER = None

Kind = re.Pattern[str] | None

_OPAQUE_KEYS = (
    "association_id batch_id event_id fact_id input_id lease_id message_id messaging.message.id order_ref pack_id "
    "patient_ref plan_id policy_digest ref request_id sealed_id span_id study_key_id study_ref subscription_ref "
    "trace_id transaction_id"
)
#: What a span may say of which things an event is about.
REFERENCES = frozenset(("association_id", "batch_id", "order_ref", "pack_id", "patient_ref", "sealed_id", "study_ref"))
_NAME_KEYS = (
    "action cause check code consumer deadletter durable entity event form from_tier handler key_domain kind "
    "level library messaging.batch.id messaging.consumer.group.name messaging.destination.template "
    "messaging.operation.name messaging.operation.type messaging.system mode module operation outcome package "
    "phase project reason resource role rule service service.name state status step store stream subject table "
    "target task thread tier to_tier trigger version who writer"
)
_NUMBER_KEYS = (
    "accepted age associations attempt attempts batches bytes code_line contexts copies count deadletters "
    "deadline delay deliveries dicom_status documents duplicates entries event_count exit_status expired failures "
    "fetched files frames free generation held http.response.status_code http_port http_status inserted instances "
    "lag lag_seconds limit line links messages messaging.batch.message_count messaging.message.body.size missing "
    "objects orders packs part parts pending pid port proofs published recovered refused rejected remaining "
    "reserve retried retrying rows run seconds sequence series signal silence size skipped studies term versions "
    "waiting withheld"
)

#: Keys of span attributes, span events and log lines.
KEYS: dict[str, Kind] = {
    **dict.fromkeys(_OPAQUE_KEYS.split(), OPAQUE),
    **dict.fromkeys(_NAME_KEYS.split(), NAME),
    **dict.fromkeys(_NUMBER_KEYS.split(), NUMBER),
    "http.request.method": CLASS,
    "http.route": ROUTE,
    "route": ROUTE,
    "method": CLASS,
    "error": CLASS,
    "error.type": CLASS,
    "exception.type": CLASS,
    "causes": CLASS,
    "frames": FRAME,
    "where": FRAME,
    "timestamp": TIME,
    "since": TIME,
    "until": TIME,
    "address": ADDRESS,
    "dropped": NAME,
}

# A digit stands alone behind a letter (``hl7``, ``v1``): no date, no number of a patient, no UID.
_WORD = r"[a-z](?:[a-z_-]|(?<=[a-z])[0-9](?![0-9])){0,60}"
_TEMPLATE = r"[A-Za-z/](?:[A-Za-z_./{}>*-]|(?<=[A-Za-z])[0-9](?![0-9])){0,100}"

#: ``<operation>`` or ``<operation> <template>``, the template a subject or a route.
SPAN_NAME = re.compile(rf"{_WORD}( {_TEMPLATE})?")
#: A fixed code of the code base.
EVENT_NAME = re.compile(_WORD)


@dataclass(frozen=True)
class Metric:
    """One metric: ``help`` says what it counts and in which unit; label values are NAMEs or the label is ``other``."""

    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_SECONDS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0)

METRICS: dict[str, Metric] = {
    "causeway_messages_total": Metric(
        "counter", "Messages by what became of them: done, again, retry, dead.", ("consumer", "outcome")
    ),
    "causeway_handler_seconds": Metric("histogram", "Seconds in a handler.", ("consumer",), _SECONDS),
    "causeway_deadletters_total": Metric("counter", "Dead letters written.", ("consumer", "reason")),
    "causeway_published_total": Metric("counter", "Events acknowledged by the bus.", ("subject",)),
    "causeway_publish_failures_total": Metric("counter", "Publishes without acknowledgement.", ("subject",)),
    "causeway_publish_seconds": Metric("histogram", "Seconds until a publish was acknowledged.", (), _SECONDS),
    "causeway_subscription_events_total": Metric("counter", "Events that a subscriber is to hear of."),
    "causeway_subscription_deliveries_total": Metric(
        "counter", "Notifications by kind and outcome: done, failed.", ("kind", "outcome")
    ),
    "causeway_subscription_delivery_seconds": Metric(
        "histogram", "Seconds until a notification was answered.", (), _SECONDS
    ),
    "causeway_outbox_rows": Metric("gauge", "Events that wait in the outbox."),
    "causeway_fetch_timestamp_seconds": Metric("gauge", "When messages were last asked for.", ("consumer",)),
    "causeway_store_operations_total": Metric(
        "counter", "Operations on a store by outcome.", ("store", "operation", "outcome")
    ),
    "causeway_store_bytes_total": Metric("counter", "Bytes moved to or from a store.", ("store", "operation")),
    "causeway_store_seconds": Metric("histogram", "Seconds of an operation.", ("store", "operation"), _SECONDS),
    "causeway_circuit_open": Metric("gauge", "1 while a target is left alone because it does not answer.", ("target",)),
    "causeway_sql_seconds": Metric("histogram", "Seconds of a transaction.", ("mode",), _SECONDS),
    "causeway_instances_total": Metric("counter", "DICOM instances by outcome.", ("outcome",)),
    "causeway_instance_bytes_total": Metric("counter", "Bytes of instances taken in."),
    "causeway_commitments_total": Metric("counter", "Reports of storage commitment by outcome.", ("outcome",)),
    "causeway_steps_total": Metric("counter", "Reports on procedure steps told of.", ("kind", "state")),
    "causeway_open_associations": Metric("gauge", "Open DICOM associations."),
    "causeway_handshakes_total": Metric(
        "counter", "TLS handshakes that did not end well: failed, or gave way to a later one.", ("outcome",)
    ),
    "causeway_associations_total": Metric("counter", "DICOM associations by outcome.", ("outcome",)),
    "causeway_reloads_total": Metric("counter", "Files read again after a change, by outcome.", ("kind", "outcome")),
    "causeway_spool_bytes": Metric("gauge", "Bytes that wait in the ingest spool."),
    "causeway_batches_total": Metric("counter", "Landing batches by outcome.", ("outcome",)),
    "causeway_packs_total": Metric("counter", "Packs by outcome.", ("outcome",)),
    "causeway_copies_total": Metric("counter", "Copies by outcome.", ("target", "outcome")),
    "causeway_notices_total": Metric("counter", "Notices to a RIS by outcome.", ("target", "outcome")),
    "causeway_forwards_total": Metric("counter", "Instances passed on by outcome.", ("target", "outcome")),
    "causeway_withheld_total": Metric("counter", "Instances withheld from a de-identified form.", ("reason",)),
    "causeway_overdue": Metric("gauge", "What the ledger waits for longer than it should.", ("state",)),
    "causeway_hl7_messages_total": Metric("counter", "HL7 messages by acknowledgement.", ("outcome",)),
    "causeway_hl7_refused_forgotten_total": Metric("counter", "Refused HL7 messages let go since there were too many."),
    "causeway_worklist_queries_total": Metric("counter", "Queries of the worklist by DICOM status.", ("outcome",)),
    "causeway_hl7_outgoing_total": Metric(
        "counter", "HL7 messages sent on: delivered, again, aside, replaced.", ("target", "outcome")
    ),
    "causeway_hl7_outgoing_waiting": Metric("gauge", "HL7 messages that wait for a receiver.", ("target",)),
    "causeway_hl7_outgoing_aside": Metric("gauge", "HL7 messages for a receiver set aside for a person.", ("target",)),
    "causeway_hl7_outgoing_age_seconds": Metric("gauge", "Age of the oldest HL7 message that waits.", ("target",)),
    "causeway_studies_total": Metric("counter", "Studies by state reached.", ("state",)),
    "causeway_http_requests_total": Metric("counter", "HTTP requests.", ("route", "status")),
    "causeway_http_denials_total": Metric("counter", "HTTP requests without a valid token."),
    "causeway_http_gave_way_total": Metric("counter", "HTTP connections that were ended for newcomers."),
    "causeway_loop_silence_seconds": Metric("gauge", "Seconds since the event loop last turned."),
}
