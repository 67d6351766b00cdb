"""What becomes of a message is what its error says.

::

    CausewayError
    ├── RetryLater       the same input will do later: delayed nak · DICOM A700 · HTTP 503 · HL7 AR
    ├── Unprocessable    this input will never do: dead letter · DICOM C000 · HTTP 422 · HL7 AE
    └── AlreadyDone      nothing is left to do: ack · DICOM 0000 · HTTP 200 · HL7 AA

Anything else is unknown: retried up to a counted limit, then a dead letter. Services derive their own small classes
from these; ``reason`` is a fixed code, never text from the input, because it reaches logs, spans and dead letters.
"""

from dataclasses import dataclass


class CausewayError(Exception):
    """The root of the tree. ``reason`` is a code such as ``target-unreachable``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RetryLater(CausewayError):
    """The input is good, the moment is not. ``delay`` in seconds overrides the delay by attempt."""

    def __init__(self, reason: str, delay: float | None = None) -> None:
        super().__init__(reason)
        self.delay = delay


class Unprocessable(CausewayError):
    """No later attempt can succeed."""


class AlreadyDone(CausewayError):
    """The effect is there already."""


@dataclass(frozen=True)
class Answer:
    """How one fate is told in each protocol.

    ``dicom`` is a C-STORE status (PS3.4 annex B.2.3), ``http`` a status (RFC 9110), ``hl7`` an acknowledgement code of
    table 0008 (HL7 v2 chapter 2).
    """

    dicom: int
    http: int
    hl7: str


ANSWERS: dict[type[BaseException], Answer] = {
    RetryLater: Answer(dicom=0xA700, http=503, hl7="AR"),
    Unprocessable: Answer(dicom=0xC000, http=422, hl7="AE"),
    AlreadyDone: Answer(dicom=0x0000, http=200, hl7="AA"),
}

UNKNOWN = Answer(dicom=0x0110, http=500, hl7="AR")


def answer(error: BaseException) -> Answer:
    """The answer for ``error`` by its class, ``UNKNOWN`` for anything outside the tree."""
    return next((told for kind, told in ANSWERS.items() if isinstance(error, kind)), UNKNOWN)
