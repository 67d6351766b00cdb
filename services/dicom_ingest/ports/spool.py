"""Where instances are made durable, and whether there is room."""

from collections.abc import Callable
from typing import Protocol

from services.dicom_ingest.domain.records import Arrival
from services.dicom_ingest.domain.study_scan import StudyKey
from shared.errors import RetryLater

#: Begins the trace of a batch and gives its ``traceparent``.
BeginTrace = Callable[[], str | None]


class SpoolRefused(RetryLater):
    """The disk does not take it, or must be left to what is already here: DICOM A700, and the sender tries later."""


class Recording(Protocol):
    """One instance on its way into the spool. After ``commit`` or ``abandon`` nothing else may be called."""

    @property
    def batch_id(self) -> str:
        """The batch that the instance is written into."""
        ...

    def write(self, *chunks: bytes | memoryview) -> None:
        """Append bytes of the data set; SpoolRefused."""
        ...

    def commit(self) -> None:
        """Return when the instance is durable; SpoolRefused, and then it is not there."""
        ...

    def abandon(self) -> None:
        """Leave nothing of it."""
        ...


class Spool(Protocol):
    """Where instances are made durable."""

    def record(self, key: StudyKey, arrival: Arrival, visitor: str, trace: BeginTrace) -> Recording:
        """Begin an instance of this study; ``trace`` is called if it opens a batch. SpoolRefused."""
        ...

    def visitor_left(self, visitor: str) -> None:
        """An association is over: its batches need not wait for more of it."""
        ...


class Room(Protocol):
    """Whether the disk can take more."""

    def check(self) -> None:
        """SpoolRefused while what is free is needed for what is already here."""
        ...

    def brake(self) -> None:
        """Wait a little before an answer while more arrives than can be landed."""
        ...
