"""What a message must have before anybody acknowledges it: a cheap look at its segments, without mapping anything.

A message that passes ``check`` is one that ``Reader.decide`` does not refuse.
"""

from collections.abc import Callable

from services.hl7_fhir.domain.messages.message import (
    MAX_FIELDS,
    MAX_PARTS,
    MAX_REPETITIONS,
    Delimiters,
    Message,
    Segment,
)
from services.hl7_fhir.domain.messages.refusal import FieldMissing, Place, SegmentError, TooMuch

#: Segments that belong to an order and cannot stand before its ORC (chapter 4, section 4.4.1).
_OF_AN_ORDER = frozenset(("OBR", "IPC", "ZDS"))


def check(message: Message) -> None:
    """Raise the Refused that the answer to ``message`` names; nothing for a trigger that is not mapped.

    SegmentError for lines that are no segments and for required segments that are missing, FieldMissing for an empty
    order control (ORC-1), TooMuch for more parts than the bounds of ``message``.
    """
    rule = RULES.get((message.type, message.trigger))
    if rule is not None:
        _within_bounds(message)
        rule(message)


def _with(*names: str) -> Callable[[Message], None]:
    def all_there(message: Message) -> None:
        for name in names:
            message.required(name)

    return all_there


def _pair(message: Message) -> None:
    message.required("PID")
    if len(message.all("PID")) < 2:
        raise SegmentError("segment-missing", Place("PID", 2))


def _order(message: Message) -> None:
    message.required("PID")
    message.required("ORC")
    controlled = False
    for segment in message.segments:
        if segment.name == "ORC":
            controlled = True
            if not segment.text(1):
                raise FieldMissing("order-control-missing", segment.place(1))
        elif segment.name in _OF_AN_ORDER and not controlled:
            raise SegmentError("order-without-control", segment.place())


#: What each mapped trigger must have, by MSH-9.
RULES: dict[tuple[str, str], Callable[[Message], None]] = {
    **{("ADT", f"A{number:02}"): _with("PID") for number in (*range(1, 9), 11, 12, 13, 23, 28, 31, 38)},
    **{("ADT", trigger): _with("PID", "MRG") for trigger in ("A34", "A40", "A47")},
    **{("ADT", trigger): _pair for trigger in ("A24", "A37")},
    ("ORM", "O01"): _order,
    ("OMG", "O19"): _order,
    ("OMI", "O23"): _order,
    # Of results and appointments the patient is optional (chapters 7.3.1 and 10.4): without one nothing is mapped.
    ("ORU", "R01"): _with("OBR"),
    ("MDM", "T02"): _with("PID", "TXA"),
    **{("SIU", trigger): _with("SCH") for trigger in ("S12", "S13", "S14", "S15")},
}


def _within_bounds(message: Message) -> None:
    """TooMuch unless every field of every segment is within the bounds; most messages are as a whole."""
    marks = Delimiters.of("MSH" + message.header.raw(1) + message.header.raw(2))
    is_small = _is_small(message.content, marks)
    has_few_fields = message.content.count(marks.field) <= MAX_FIELDS
    for segment in message.segments:
        numbers = range(0) if has_few_fields else segment.numbers()
        if not is_small:
            _bound(segment, numbers or segment.numbers(), marks)


def _bound(segment: Segment, numbers: range, marks: Delimiters) -> None:
    for number in numbers:
        declares_marks = segment.name == "MSH" and number < 3
        if not declares_marks and not _is_small(segment.raw(number), marks):
            raise TooMuch("field-too-large", segment.place(number))


def _is_small(text: str, marks: Delimiters) -> bool:
    """Whether no field of ``text`` can be beyond what ``Syntax.split`` splits."""
    repetitions = text.count(marks.repetition)
    parts = repetitions + text.count(marks.component) + text.count(marks.subcomponent)
    return repetitions < MAX_REPETITIONS and parts < MAX_PARTS and text.count(marks.escape) <= MAX_PARTS
