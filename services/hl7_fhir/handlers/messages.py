"""What happens when an HL7 message arrives."""

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from opentelemetry.trace import SpanKind

from services.hl7_fhir.domain.acknowledgement import Trouble, acknowledge
from services.hl7_fhir.domain.decision import Decision, Name, Reader
from services.hl7_fhir.domain.message import header_of
from services.hl7_fhir.domain.refusal import Refused, TooMuch
from services.hl7_fhir.ports import Arrival, Journal
from shared.errors import AlreadyDone, CausewayError, RetryLater, answer
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
        arrival = self._arrival(content)
        with tracer().start_as_current_span(
            "receive hl7", kind=SpanKind.SERVER, attributes={"ref": arrival.ref}, record_exception=False
        ):
            return await self._settled(arrival)

    async def _settled(self, arrival: Arrival) -> bytes:
        try:
            await self._take(arrival)
        except AlreadyDone:
            return self._answer(arrival, "AA")
        except Refused as refusal:
            return await self._refuse(arrival, refusal)
        except CausewayError as error:
            return self._answer(arrival, answer(error).hl7, Trouble("207", error.reason))
        except Exception as error:
            log.error("hl7-message-failed", ref=arrival.ref, exc_info=error)
            return self._answer(arrival, "AR", Trouble("207", "internal-error"))
        return self._answer(arrival, "AA")

    async def oversize(self, head: bytes) -> bytes:
        """The acknowledgement of a frame that is longer than allowed, of which only ``head`` was read."""
        refusal = TooMuch("message-too-large")
        return self._answer(self._arrival(head), "AE", Trouble(refusal.condition, refusal.reason))

    async def _take(self, arrival: Arrival) -> None:
        if len(arrival.content) > _LONG:
            decision = await in_thread(self._decide, arrival)
        else:
            decision = self._decide(arrival)
        await self.journal.take(arrival, decision)

    def _decide(self, arrival: Arrival) -> Decision:
        return self.reader.decide(arrival.content, arrival.ref, arrival.received)

    async def _refuse(self, arrival: Arrival, refusal: Refused) -> bytes:
        try:
            await self.journal.refuse(arrival, refusal)
        except RetryLater as error:
            return self._answer(arrival, "AR", Trouble("207", error.reason))
        trouble = Trouble(refusal.condition, refusal.reason, refusal.place)
        return self._answer(arrival, answer(refusal).hl7, trouble)

    def _arrival(self, content: bytes) -> Arrival:
        try:
            name = Name.of(header_of(content))
        except Refused:
            name = Name("", "", "", "", "", "")
        digest = hashlib.sha256(content).hexdigest()
        called = (name.sender, name.facility, name.control_id)
        return Arrival(
            ref=self.site_key.token("hl7-message", *called, digest),
            name_ref=self.site_key.token("hl7-name", *called),
            name=name,
            sha256=digest,
            content=content,
            received=self.clock(),
        )

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
