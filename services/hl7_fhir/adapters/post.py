"""Everything that passes messages on, as the settings describe it."""

from datetime import tzinfo
from pathlib import Path

from services.hl7_fhir.adapters.contents import Contents
from services.hl7_fhir.adapters.mllp_client import MllpLink
from services.hl7_fhir.adapters.outgoing import Outgoing
from services.hl7_fhir.adapters.outgoing_desk import OutgoingDesk
from services.hl7_fhir.adapters.outgoing_line import Line, Lines
from services.hl7_fhir.adapters.own_messages import Telling
from services.hl7_fhir.adapters.receivers import ReceiversFile
from services.hl7_fhir.domain.outgoing.receivers import Receiver
from shared.identity import SiteKey
from shared.sql import Database


class Post:
    """The receivers of ``file``, their queues, and what an operator does with them."""

    def __init__(
        self, file: Path | None, database: Database, contents: Contents, site_key: SiteKey, zone: tzinfo
    ) -> None:
        self.receivers = ReceiversFile(file)
        self.outgoing = Outgoing(self.receivers)
        self.desk = OutgoingDesk(database, self.outgoing)
        self.tells = Telling(self.outgoing, self.receivers, site_key, zone)
        self._lines = Lines(database, contents.read)

    def ends(self, receiver: Receiver) -> tuple[Line, MllpLink]:
        """What lies between us and a receiver: its queue and its connection."""
        return self._lines.of(receiver), MllpLink(receiver)
