"""What an association hands its arrivals to."""

from typing import Literal, Protocol

from services.dicom_ingest.domain.command import Command
from services.dicom_ingest.domain.visit import Visit
from services.dicom_ingest.ports.commitment import Line

How = Literal["released", "aborted", "lost"]


class Incoming(Protocol):
    """One instance on its way in."""

    def write(self, chunk: memoryview) -> None:
        """Take the next bytes of the data set, valid only during the call; InstanceRefused, SpoolRefused."""
        ...

    def commit(self) -> None:
        """Return when the instance is durable; SpoolRefused."""
        ...

    def abandon(self) -> None:
        """The instance will not be finished: leave nothing of it."""
        ...


class Receiver(Protocol):
    """Takes what one peer brings, on the thread of its association."""

    def arrive(self, visit: Visit) -> None:
        """An association was accepted."""
        ...

    def store(self, visit: Visit, command: Command, abstract_syntax: str, transfer_syntax: str) -> Incoming:
        """Begin to take an instance; InstanceRefused, SpoolRefused."""
        ...

    def ask(self, visit: Visit, command: Command, abstract_syntax: str, transfer_syntax: str, line: Line) -> Incoming:
        """Begin to take a request for commitment; ``line`` is its association. InstanceRefused."""
        ...

    def report(self, visit: Visit, command: Command, abstract_syntax: str, transfer_syntax: str) -> Incoming:
        """Begin to take a report on a performed procedure step; InstanceRefused."""
        ...

    def leave(self, visit: Visit, how: How) -> None:
        """The association is over."""
        ...
