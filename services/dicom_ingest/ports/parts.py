"""Between the body of a store request and what becomes of its parts."""

from collections.abc import Mapping
from typing import Protocol


class PartSink(Protocol):
    """Takes the parts of a body one after the other."""

    def begin(self, headers: Mapping[str, str]) -> None:
        """A part begins; the names of its headers are in lower case. RequestRefused when there are too many."""
        ...

    def write(self, chunk: memoryview) -> None:
        """Take the next bytes of the part, valid only during the call."""
        ...

    def end(self) -> None:
        """The part is complete."""
        ...


class BodyReader(Protocol):
    """Takes a body as it comes and tells a sink of its parts."""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body; RequestRefused when they are no such body."""
        ...

    def finish(self) -> None:
        """The body is over; RequestRefused when it should not be."""
        ...
