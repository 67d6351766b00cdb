"""A message as it came, before anybody knows whether it can be read."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime

from services.hl7_fhir.domain.message import Segment, header_of
from services.hl7_fhir.domain.refusal import Refused
from shared.identity import SiteKey


@dataclass(frozen=True)
class Name:
    """What a message calls itself: MSH-3, MSH-4, MSH-10, MSH-9 and MSH-12, as far as they were sent."""

    sender: str = ""
    facility: str = ""
    control_id: str = ""
    type: str = ""
    trigger: str = ""
    version: str = ""

    @classmethod
    def of(cls, header: Segment) -> "Name":
        """The name in ``header``; a Refused when it cannot be read within the bounds."""
        sent = (header.raw(3), header.raw(4), header.raw(10), header.text(9), header.text(9, 2), header.text(12))
        # No database keeps a NUL in a text.
        return cls(*(text.replace("\x00", "") for text in sent))


@dataclass(frozen=True)
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
    def of(cls, content: bytes, received: datetime, site_key: SiteKey) -> "Arrival":
        """The arrival of ``content``, nameless when it has no readable header."""
        try:
            name = Name.of(header_of(content))
        except Refused:
            name = Name()
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
