"""A message as it came, before anybody knows whether it can be read."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.hl7_fhir.domain.messages.envelope import Envelope
from shared.identity import SiteKey


def now() -> datetime:
    """The time in UTC, in milliseconds: the precision of a FHIR instant."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@dataclass(frozen=True, slots=True)
class Name:
    """What a message calls itself: MSH-3, MSH-4, MSH-10, MSH-9 and MSH-12, as far as they were sent.

    ``application`` and ``institution`` are MSH-3.1 and MSH-4.1.
    """

    sender: str = ""
    facility: str = ""
    control_id: str = ""
    type: str = ""
    trigger: str = ""
    version: str = ""
    application: str = ""
    institution: str = ""

    @classmethod
    def of(cls, envelope: Envelope) -> "Name":
        """The name on ``envelope``."""
        kind = (envelope.type, envelope.trigger, envelope.version, envelope.application_name, envelope.institution)
        sent = (envelope.sender, envelope.facility, envelope.control_id, *kind)
        # No database keeps a NUL in a text.
        return cls(*(text.replace("\x00", "") for text in sent))


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message with its exact bytes. ``ref`` stands for its name and bytes, ``name_ref`` for its name alone.

    A repeat has the same ``ref``; another message under the same MSH-3, MSH-4 and MSH-10 has the same ``name_ref``.
    """

    ref: str
    name_ref: str
    name: Name = field(repr=False)
    sha256: str
    content: bytes = field(repr=False)
    received: datetime

    @classmethod
    def of(cls, content: bytes, received: datetime, site_key: SiteKey, envelope: Envelope | None = None) -> "Arrival":
        """The arrival of ``content``, nameless when it has no readable header."""
        name = Name.of(envelope or Envelope.of(content))
        digest = hashlib.sha256(content).hexdigest()
        called = (name.sender, name.facility, name.control_id)
        return cls(
            ref=site_key.token("hl7-message", *called, digest),
            name_ref=site_key.token("hl7-name", *called),
            name=name,
            sha256=digest,
            content=content,
            received=received,
        )
