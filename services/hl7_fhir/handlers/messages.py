"""What happens when an HL7 message arrives."""

import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from opentelemetry.trace import SpanKind

from services.hl7_fhir.domain.acknowledgement import Trouble, acknowledge
from services.hl7_fhir.domain.arrival import Arrival, Name
from services.hl7_fhir.domain.decision import Decision, Reader
from services.hl7_fhir.domain.refusal import Refused, TooMuch
from services.hl7_fhir.ports import Journal
from shared.errors import AlreadyDone, CausewayError, answer
from shared.identity import SiteKey
from shared.messaging.threads import in_thread
from shared.observability import logger, metrics, tracer

#: Reading a longer message takes long enough to keep other connections waiting: it goes to a thread.
_LONG = 64 * 1024

_TYPE = re.compile(r"[A-Z]{3}\Z")
_TRIGGER = re.compile(r"[A-Z][A-Z0-9]{2}\Z")

log = logger("causeway.hl7")


def now() -> datetime:
    """The time in UTC, in milliseconds: the precision of a FHIR instant."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@dataclass(frozen=True)
class Messages:
    """Takes HL7 messages: kept and done before they are acknowledged, or not acknowledged."""

    reader: Reader
    journal: Journal
    site_key: SiteKey
    clock: Callable[[], datetime] = now

    async def arrived(self, content: bytes) -> bytes:
        """The acknowledgement of ``content``: AA once committed, AE for what is wrong in it, AR for our trouble."""
        arrival = Arrival.of(content, self.clock(), self.site_key)
        with tracer().start_as_current_span(
            "receive hl7", kind=SpanKind.SERVER, attributes={"ref": arrival.ref}, record_exception=False
        ):
            return await self._settled(arrival)

    async def _settled(self, arrival: Arrival) -> bytes:
        try:
            return await self._taken(arrival)
        except CausewayError as error:
            return self._answer(arrival, answer(error).hl7, Trouble("207", error.reason))
        except Exception as error:
            log.error("hl7-message-failed", ref=arrival.ref, exc_info=error)
            return self._answer(arrival, answer(error).hl7, Trouble("207", "internal-error"))

    async def _taken(self, arrival: Arrival) -> bytes:
        try:
            with suppress(AlreadyDone):
                await self.journal.take(arrival, await self._decide(arrival))
        except Refused as refusal:
            await self.journal.refuse(arrival, refusal)
            trouble = Trouble(refusal.condition, refusal.reason, refusal.place)
            return self._answer(arrival, answer(refusal).hl7, trouble)
        return self._answer(arrival, "AA")

    async def oversize(self, head: bytes) -> bytes:
        """The acknowledgement of a frame that is longer than allowed, of which only ``head`` was read."""
        refusal = TooMuch("message-too-large")
        return self._answer(
            Arrival.of(head, self.clock(), self.site_key), "AE", Trouble(refusal.condition, refusal.reason)
        )

    async def _decide(self, arrival: Arrival) -> Decision:
        known = (arrival.content, arrival.ref, arrival.received)
        if len(arrival.content) > _LONG:
            return await in_thread(self.reader.decide, *known)
        return self.reader.decide(*known)

    def _answer(self, arrival: Arrival, code: str, trouble: Trouble | None = None) -> bytes:
        outcome, reason = code.lower(), trouble.reason if trouble else None
        metrics().count("causeway_hl7_messages_total", outcome=outcome)
        log.info(
            "hl7-message-answered", ref=arrival.ref, outcome=outcome, reason=reason, trigger=_trigger(arrival.name)
        )
        return acknowledge(arrival.content, code, arrival.received, secrets.token_hex(10), trouble)


def _trigger(name: Name) -> str | None:
    """``adt_a08``; None for what has not the form of a trigger, since it may be anything, a name for instance."""
    known = _TYPE.match(name.type) and _TRIGGER.match(name.trigger)
    return f"{name.type}_{name.trigger}".lower() if known else None
