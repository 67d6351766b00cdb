"""What other parts of the service say to whoever tells receivers, each within the transaction of its cause."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection

from services.hl7_fhir.domain.outgoing.telling import State


@dataclass(frozen=True)
class StudyNow:
    """A study that can be had. ``patient`` is the id of its Patient, ``order`` that of its ServiceRequest if any.

    ``accession`` is the study's own number (0008,0050). ``cause`` is an opaque id of what made it available: the same
    for a repeat, another for a later change that is to be told again.
    """

    uid: str
    patient: str
    order: str | None
    cause: str
    now: datetime
    modality: str | None = None
    started: datetime | None = None
    accession: str | None = field(default=None, repr=False)


class Tells(Protocol):
    """Queues messages of our own for the receivers that are to have them; what was told before is not told again."""

    def status_changed(
        self,
        connection: Connection,
        *,
        order: str,
        state: State,
        cause: str,
        now: datetime,
        study_uid: str | None = None,
    ) -> None:
        """The order with this id is in ``state`` because of ``cause``: an opaque id, the same for a repeat."""
        ...

    def study_available(self, connection: Connection, study: StudyNow) -> None:
        """The study can be had."""
        ...

    def announce(self, connection: Connection, *, order: str, study_uid: str, now: datetime) -> None:
        """The order with this id has a Study Instance UID that was made here: the RIS is to know it."""
        ...


class TellsNobody:
    """Nobody is to be told."""

    def status_changed(
        self,
        connection: Connection,
        *,
        order: str,
        state: State,
        cause: str,
        now: datetime,
        study_uid: str | None = None,
    ) -> None:
        """Nothing."""

    def study_available(self, connection: Connection, study: StudyNow) -> None:
        """Nothing."""

    def announce(self, connection: Connection, *, order: str, study_uid: str, now: datetime) -> None:
        """Nothing."""
