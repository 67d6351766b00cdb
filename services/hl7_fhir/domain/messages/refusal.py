"""Why a message cannot be taken, in the words of HL7 table 0357.

::

    Unprocessable
    └── Refused                the answer is AE (CE) and one ERR segment
        ├── NotHl7             no readable MSH: nothing can be echoed
        ├── SegmentError       100: a segment is missing, out of place or no segment at all
        ├── FieldMissing       101: a required field is empty
        ├── FieldInvalid       102: a field cannot be read
        ├── ProfileViolated    100: not as the profile of its version says, for a sender that is held to it
        └── TooMuch            207: more segments, fields or repetitions than this server reads
"""

from dataclasses import dataclass

from shared.errors import Unprocessable

#: HL7 table 0357, message error condition codes, as far as this service uses them.
CONDITIONS = {
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "207": "Application internal error",
}


@dataclass(frozen=True)
class Place:
    """Where in a message: segment name, its occurrence from 1, and a field number (HL7 v2.5 ERL, chapter 2.A.28)."""

    segment: str = ""
    occurrence: int = 1
    field: int | None = None

    def told(self) -> str:
        """As in ERR-2: segment, occurrence and field."""
        return f"{self.segment}^{self.occurrence}" + (f"^{self.field}" if self.field else "")


class Refused(Unprocessable):
    """The content is at fault; ``reason`` is a fixed code and ``place`` never holds a value from the message."""

    condition = "207"

    def __init__(self, reason: str, place: Place | None = None) -> None:
        super().__init__(reason)
        self.place = place or Place()


class NotHl7(Refused):
    """There is no MSH segment that says who sends what."""

    condition = "100"


class SegmentError(Refused):
    """A segment is missing, out of place, or no segment."""

    condition = "100"


class FieldMissing(Refused):
    """A field that this message must have is empty."""

    condition = "101"


class FieldInvalid(Refused):
    """A field does not hold what its data type says."""

    condition = "102"


class ProfileViolated(Refused):
    """The message is not built as its version says."""

    condition = "100"


class TooMuch(Refused):
    """The message is larger than the bounds within which reading it is cheap."""
