"""What a receiver's answer means for the message that was sent (HL7 v2 chapter 2, sections 2.9.2 and 2.9.3).

| MSA-1 | meaning | the message |
|---|---|---|
| AA, CA | taken | is done |
| AR, CR | not now, or not this kind: nobody can tell them apart | is sent again, in its order |
| AE, CE | its content is at fault | is set aside for a person after so many tries, the queue goes on |
"""

from dataclasses import dataclass, field
from enum import Enum

from services.hl7_fhir.domain.messages.message import header_of
from services.hl7_fhir.domain.messages.refusal import Refused


class Verdict(Enum):
    """What an answer says of the message."""

    DONE = "done"
    AGAIN = "again"
    REFUSED = "refused"


_VERDICTS = {
    "AA": Verdict.DONE,
    "CA": Verdict.DONE,
    "AR": Verdict.AGAIN,
    "CR": Verdict.AGAIN,
    "AE": Verdict.REFUSED,
    "CE": Verdict.REFUSED,
}


class NotAnAnswer(ValueError):
    """What came is no acknowledgement."""


@dataclass(frozen=True)
class Answer:
    """MSA-1 and MSA-2; ``control_id`` is told byte by byte as it was sent."""

    code: str
    control_id: str = field(repr=False)

    @property
    def verdict(self) -> Verdict:
        """What becomes of the message."""
        return _VERDICTS[self.code]


def read_answer(content: bytes) -> Answer:
    """The answer in ``content``, at most some kilobytes; NotAnAnswer."""
    try:
        separator = header_of(content).raw(1)
    except Refused:
        raise NotAnAnswer from None
    lines = content.decode("latin-1").replace("\n", "\r").split("\r")
    msa = next((line.split(separator) for line in lines if line.startswith("MSA" + separator)), [])
    code = msa[1].strip().upper() if len(msa) > 1 else ""
    if code not in _VERDICTS:
        raise NotAnAnswer
    return Answer(code, msa[2].strip() if len(msa) > 2 else "")


def control_id_of(content: bytes) -> str:
    """MSH-10 as an answer must repeat it, each byte as one character; empty when there is none."""
    try:
        return header_of(content).raw(10).strip()
    except Refused:
        return ""
