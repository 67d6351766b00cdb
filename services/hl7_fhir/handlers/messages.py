"""What happens when an HL7 message arrives."""

import asyncio
import re
import secrets
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime

from services.hl7_fhir.domain.intake.acknowledgement import Trouble, acknowledge, codes
from services.hl7_fhir.domain.intake.arrival import Arrival, Name, now
from services.hl7_fhir.domain.intake.keeping import Entry, Kept
from services.hl7_fhir.domain.intake.senders import Origin, Sender
from services.hl7_fhir.domain.messages.checking import RULES, check
from services.hl7_fhir.domain.messages.envelope import Envelope
from services.hl7_fhir.domain.messages.message import read
from services.hl7_fhir.domain.messages.refusal import Refused, TooMuch
from services.hl7_fhir.ports import Journal, Profiles, Registry
from shared.errors import CausewayError, RetryLater, answer
from shared.identity import SiteKey
from shared.messaging.threads import in_thread
from shared.observability import logger, metrics

#: Reading a longer message takes long enough to keep other connections waiting: it goes to a thread.
_LONG = 64 * 1024

_TYPE = re.compile(r"[A-Z]{3}\Z")
_TRIGGER = re.compile(r"[A-Z][A-Z0-9]{2}\Z")

log = logger("causeway.hl7")


class Rejected(RetryLater):
    """The sender's message is not taken, whatever is in it: AR."""


@dataclass(frozen=True)
class Messages:
    """Takes HL7 messages: kept before they are acknowledged, or not acknowledged; they are mapped after that."""

    registry: Registry
    journal: Journal
    profiles: Profiles
    site_key: SiteKey
    clock: Callable[[], datetime] = now
    #: A long message takes several times its size while it is read and kept.
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def arrived(self, content: bytes, origin: Origin = Origin()) -> tuple[bytes, ...]:  # noqa: B008 - frozen
        """What is answered to ``content``: AA once it is durable, AE for what is wrong in it, AR for our trouble.

        In enhanced mode CA, CE, CR, and what else the sender asks for; nothing for an acknowledgement.
        """
        envelope = Envelope.of(content)
        if envelope.is_acknowledgement:
            log.info("hl7-acknowledgement-ignored")
            return ()
        arrival = Arrival.of(content, self.clock(), self.site_key, envelope)
        try:
            return await self._taken(arrival, envelope, origin)
        except CausewayError as error:
            return self._answers(arrival, envelope, answer(error).hl7, Trouble("207", error.reason))
        except Exception as error:
            log.error("hl7-message-failed", ref=arrival.ref, exc_info=error)
            return self._answers(arrival, envelope, answer(error).hl7, Trouble("207", "internal-error"))

    async def again(self, content: bytes, former: Kept) -> str:
        """Take ``content`` in the place of a message that was refused or has failed: its ref; Refused, RetryLater."""
        arrival = Arrival.of(content, self.clock(), self.site_key)
        sender = self.registry.named(former.origin)
        await self._checked(arrival, sender)
        corrects = former.ref if former.ref != arrival.ref else former.corrects
        await self.journal.keep(Entry(arrival, origin=sender.name, corrects=corrects))
        return arrival.ref

    async def oversize(self, head: bytes, _: Origin = Origin()) -> tuple[bytes, ...]:  # noqa: B008 - frozen
        """What is answered to a frame that is longer than allowed, of which only ``head`` was read."""
        envelope, refusal = Envelope.of(head), TooMuch("message-too-large")
        arrival = Arrival.of(head, self.clock(), self.site_key, envelope)
        return self._answers(arrival, envelope, "AE", Trouble(refusal.condition, refusal.reason))

    async def _taken(self, arrival: Arrival, envelope: Envelope, origin: Origin) -> tuple[bytes, ...]:
        sender = self._sender(arrival, origin)
        async with self.one_at_a_time if len(arrival.content) > _LONG else nullcontext():
            return await self._kept(arrival, envelope, sender, origin.address)

    async def _kept(self, arrival: Arrival, envelope: Envelope, sender: Sender, peer: str) -> tuple[bytes, ...]:
        try:
            await self._checked(arrival, sender)
        except Refused as refusal:
            await self._keep(Entry.refused(arrival, refusal, sender.name, peer), sender)
            trouble = Trouble(refusal.condition, refusal.reason, refusal.place)
            return self._answers(arrival, envelope, answer(refusal).hl7, trouble)
        await self._keep(Entry(arrival, origin=sender.name, peer=peer), sender)
        return self._answers(arrival, envelope, "AA")

    def _sender(self, arrival: Arrival, origin: Origin) -> Sender:
        sender = self.registry.who(arrival.name, origin)
        if sender is None:
            raise Rejected("sender-unknown")
        if sender.unsupported == "reject" and (arrival.name.type, arrival.name.trigger) not in RULES:
            raise Rejected("trigger-not-supported")
        return sender

    async def _checked(self, arrival: Arrival, sender: Sender) -> None:
        if len(arrival.content) > _LONG:
            await in_thread(_check, arrival.content, sender.charset)
        else:
            _check(arrival.content, sender.charset)
        if sender.strict:
            await self.profiles.validate(arrival.content, sender.charset)

    async def _keep(self, entry: Entry, sender: Sender) -> None:
        """Return when it is durable; a sender that is to be held hears nothing until its connection's patience ends."""
        await self.journal.keep(entry, hold=sender.trouble == "hold")

    def _answers(
        self, arrival: Arrival, envelope: Envelope, code: str, trouble: Trouble | None = None
    ) -> tuple[bytes, ...]:
        outcome = code.lower()
        metrics().count("causeway_hl7_messages_total", outcome=outcome)
        if trouble:
            trigger = _trigger(arrival.name)
            log.info("hl7-message-answered", ref=arrival.ref, outcome=outcome, reason=trouble.reason, trigger=trigger)
        return tuple(
            acknowledge(envelope, wanted, arrival.received, secrets.token_hex(10), trouble)
            for wanted in codes(envelope, code)
        )


def _check(content: bytes, charset: str) -> None:
    check(read(content, charset))


def _trigger(name: Name) -> str | None:
    """``adt_a08``; None for what has not the form of a trigger, since it may be anything, a name for instance."""
    known = _TYPE.match(name.type) and _TRIGGER.match(name.trigger)
    return f"{name.type}_{name.trigger}".lower() if known else None
