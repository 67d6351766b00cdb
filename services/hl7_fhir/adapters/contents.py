"""The bytes of messages that were kept."""

from typing import Any

from sqlalchemy import Connection, Row, select

from services.hl7_fhir.adapters.sealing import Sealer
from services.hl7_fhir.adapters.tables import messages


class Contents:
    """Opens what the journal has sealed."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def of(self, row: Row[Any]) -> bytes:
        """The bytes of the message in ``row``; LookupError when they are gone, Unprocessable when damaged."""
        if row.content is None:
            raise LookupError
        return self._sealer.open(row.ref, row.content) if row.sealed else bytes(row.content)

    def read(self, connection: Connection, sequence: int) -> bytes:
        """The bytes of a message by its sequence; LookupError when they are gone, Unprocessable when damaged."""
        wanted = select(messages.c.ref, messages.c.content, messages.c.sealed).where(messages.c.sequence == sequence)
        row = connection.execute(wanted).one_or_none()
        if row is None:
            raise LookupError
        return self.of(row)  # type: ignore[arg-type]  # a row of a statement of three columns
