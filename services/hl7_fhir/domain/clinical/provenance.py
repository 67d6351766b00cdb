"""Where the state of resources comes from: one Provenance for each message that changed any (R4 section 6.3)."""

from collections.abc import Iterable
from datetime import datetime

from services.hl7_fhir.domain.clinical.record import fields_of
from services.hl7_fhir.domain.clinical.said import Said, reference
from services.hl7_fhir.domain.mapping.datatypes import Json
from services.hl7_fhir.domain.mapping.site import Site
from services.hl7_fhir.domain.messages.message import Message
from shared.identity import SiteKey

#: More are not listed: a merge may move thousands of resources.
MAX_TARGETS = 200


def provenance_of(message: Message, site: Site, key: SiteKey, message_ref: str) -> Said:
    """What MSH, EVN and the first ORC say of who did it, why and when."""
    found = (message.segments[0], message.one("EVN"), message.one("ORC"))
    segments = tuple(segment for segment in found if segment)
    fields = fields_of(segments, site.maps.wanted("Provenance"))
    return Said("Provenance", key.token("provenance-resource", message_ref), fields, segments)


def finished(made: Json, targets: Iterable[tuple[str, str]], message_ref: str, recorded: datetime) -> Json:
    """With what was changed, (type, id) each, when, and the message by its opaque name."""
    source = {"identifier": {"system": "urn:x-causeway:hl7-message", "value": message_ref}}
    return {
        **made,
        "target": [reference(kind, resource_id) for kind, resource_id in list(targets)[:MAX_TARGETS]],
        "recorded": recorded.isoformat(timespec="milliseconds"),
        "agent": made.get("agent") or [{"who": {"display": "unknown"}}],
        "entity": [{"role": "source", "what": source}],
    }
