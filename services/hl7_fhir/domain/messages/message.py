"""A bounded, lazy reader of HL7 v2 messages (chapter 2, section 2.5: delimiters, segments, fields).

Nothing is split before somebody asks for it, and nothing is split into more parts than the bounds below, so that the
cost of a hostile message is that of counting its bytes.
"""

import re
from dataclasses import dataclass
from functools import cached_property

from services.hl7_fhir.domain.messages import charset
from services.hl7_fhir.domain.messages.refusal import FieldInvalid, FieldMissing, NotHl7, Place, SegmentError, TooMuch

#: Bounds. Real messages stay below a tenth of each: an ORU with 500 OBX, a PID with 30 identifiers.
MAX_SEGMENTS = 5_000
MAX_FIELDS = 1_000
MAX_REPETITIONS = 1_000
MAX_PARTS = 4_000

#: A repetition: components, each of them its subcomponents. ``""`` alone is HL7's explicit null (section 2.5.3.2).
Repetition = tuple[tuple[str, ...], ...]
Field = tuple[Repetition, ...]

NULL = '""'

_SEGMENT_NAME = re.compile(r"[A-Z][A-Z0-9]{2}\Z")
_LINE_END = re.compile(rb"[\r\n]")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_HIGHLIGHT = {"H", "N"}


@dataclass(frozen=True)
class Delimiters:
    """The five characters of MSH-1 and MSH-2; the truncation character of v2.7 is read as text."""

    field: str
    component: str
    repetition: str
    escape: str
    subcomponent: str

    @classmethod
    def of(cls, header: str) -> "Delimiters":
        """Those that ``header``, a line that begins with MSH, declares; NotHl7 when they cannot delimit anything."""
        separator, encoding = header[3:4], header[4:9].split(header[3:4] or "|")[0]
        marks = separator + (encoding + "^~\\&"[len(encoding) :])[:4]
        if len(marks) != 5 or len(set(marks)) != 5 or any(mark.isalnum() or mark.isspace() for mark in marks):
            raise NotHl7("delimiters-unusable", Place("MSH", 1, 2))
        return cls(*marks)


@dataclass(frozen=True)
class Syntax:
    """How to read the text of one message: its delimiters, and the codec of its hexadecimal escapes."""

    delimiters: Delimiters
    codec: str

    @cached_property
    def _escapes(self) -> dict[str, str]:
        marks = self.delimiters
        return {
            "F": marks.field,
            "S": marks.component,
            "R": marks.repetition,
            "E": marks.escape,
            "T": marks.subcomponent,
            ".br": "\n",
        }

    def plain(self, text: str) -> str:
        """``text`` without escape sequences (section 2.7); what has no plain form stays as it was sent."""
        mark = self.delimiters.escape
        if mark not in text:
            return text
        pieces = text.split(mark)
        plain, inside = [pieces[0]], True
        for piece in pieces[1:]:
            told = self._escaped(piece) if inside else piece
            plain.append(mark + piece if told is None else told)
            inside = not inside or told is None
        return "".join(plain)

    def _escaped(self, sequence: str) -> str | None:
        if sequence in _HIGHLIGHT:
            return ""
        if sequence[:1] == "X":
            return self._hexadecimal(sequence[1:])
        return self._escapes.get(sequence)

    def _hexadecimal(self, digits: str) -> str | None:
        try:
            return bytes.fromhex(digits).decode(self.codec).replace("\x00", "")
        except ValueError:
            return None

    def split(self, text: str, place: Place) -> Field:
        """The repetitions, components and subcomponents of one field; TooMuch when there are too many."""
        marks = self.delimiters
        if not text:
            return ()
        if len(text) >= MAX_REPETITIONS:
            self._bound(text, place)
        if marks.escape not in text:
            return tuple(
                tuple(tuple(component.split(marks.subcomponent)) for component in repetition.split(marks.component))
                for repetition in text.split(marks.repetition)
            )
        return tuple(
            tuple(
                tuple(self.plain(part) for part in component.split(marks.subcomponent))
                for component in repetition.split(marks.component)
            )
            for repetition in text.split(marks.repetition)
        )

    def _bound(self, text: str, place: Place) -> None:
        marks = self.delimiters
        repetitions = text.count(marks.repetition)
        parts = repetitions + text.count(marks.component) + text.count(marks.subcomponent)
        if repetitions >= MAX_REPETITIONS or parts >= MAX_PARTS or text.count(marks.escape) > MAX_PARTS:
            raise TooMuch("field-too-large", place)


class Segment:
    """One line of a message. ``occurrence`` counts the segments of the same name from 1."""

    __slots__ = ("_fields", "_line", "_read", "_syntax", "name", "occurrence")

    def __init__(self, line: str, occurrence: int, syntax: Syntax) -> None:
        self.name = line[:3]
        self.occurrence = occurrence
        self._line = line
        self._syntax = syntax
        self._fields: list[str] | None = None
        self._read: dict[int, Field] = {}

    def place(self, number: int | None = None) -> Place:
        """Where field ``number`` of this segment is."""
        return Place(self.name, self.occurrence, number)

    def raw(self, number: int) -> str:
        """Field ``number`` as it was sent, empty when it is not there. MSH-1 is the field separator itself."""
        position = number - 1 if self.name == "MSH" else number
        if position == 0:
            return self._syntax.delimiters.field
        fields = self._split()
        return fields[position] if position < len(fields) else ""

    def field(self, number: int) -> Field:
        """Field ``number``, split and without escapes; an empty tuple when it is not valued."""
        known = self._read.get(number)
        if known is None:
            sent = self.raw(number)
            known = self._read[number] = self._syntax.split(sent, self.place(number)) if sent else ()
        return known

    def text(self, number: int, component: int = 1, subcomponent: int = 1) -> str:
        """One value of the first repetition, without surrounding spaces, empty when it is not valued."""
        return first(self.field(number), component, subcomponent)

    def numbers(self) -> range:
        """The numbers of the fields that the line reaches."""
        return range(1, len(self._split()) + (self.name == "MSH"))

    def _split(self) -> list[str]:
        if self._fields is None:
            separator = self._syntax.delimiters.field
            if self._line.count(separator) > MAX_FIELDS:
                raise TooMuch("segment-too-large", self.place())
            self._fields = self._line.split(separator)
        return self._fields


def part(repetition: Repetition, component: int, subcomponent: int = 1) -> str:
    """One value of a repetition, without surrounding spaces, empty when it is not there or an explicit null."""
    if component > len(repetition) or subcomponent > len(repetition[component - 1]):
        return ""
    value = repetition[component - 1][subcomponent - 1].strip()
    return "" if value == NULL else value


def first(field: Field, component: int = 1, subcomponent: int = 1) -> str:
    """One value of the first repetition of ``field``."""
    return part(field[0], component, subcomponent) if field else ""


@dataclass(frozen=True)
class Message:
    """A message whose header has been checked; ``content`` is split into segments when somebody asks for them."""

    header: Segment
    content: str
    codec: str

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """Every segment in its order; SegmentError when a line is none or a second message begins, TooMuch."""
        return _segments(self.content, self.codec)

    @property
    def type(self) -> str:
        """MSH-9.1, such as ``ADT``."""
        return self.header.text(9)

    @property
    def trigger(self) -> str:
        """MSH-9.2, such as ``A08``."""
        return self.header.text(9, 2)

    def all(self, name: str) -> tuple[Segment, ...]:
        """The segments called ``name``, in their order."""
        return tuple(segment for segment in self.segments if segment.name == name)

    def one(self, name: str) -> Segment | None:
        """The first segment called ``name``."""
        return next((segment for segment in self.segments if segment.name == name), None)

    def required(self, name: str) -> Segment:
        """The first segment called ``name``; SegmentError when there is none."""
        found = self.one(name)
        if found is None:
            raise SegmentError("segment-missing", Place(name))
        return found


def header_of(content: bytes) -> Segment:
    """The MSH segment of ``content``, each byte read as one character; NotHl7 when the message does not begin with it.

    Good for what must work before the character set is known: the acknowledgement and the name of the message.
    """
    line = header_line(content)
    return Segment(line, 1, Syntax(Delimiters.of(line), "latin-1"))


def header_line(content: bytes) -> str:
    """The line of the MSH segment of ``content``, each byte read as one character; NotHl7 when it begins otherwise."""
    line = _LINE_END.split(_body(content)[:65_536], maxsplit=1)[0].decode("latin-1")
    if not line.startswith("MSH"):
        raise NotHl7("no-header")
    return line


def read(content: bytes, default_codec: str) -> Message:
    """The message in ``content``; a Refused when header or character set forbid reading it."""
    header = header_of(content)
    for number, reason in ((9, "type-missing"), (10, "control-id-missing")):
        if not header.text(number):
            raise FieldMissing(reason, header.place(number))
    codec = charset.codec(header.text(18), default_codec)
    _no_control_bytes(content)
    text = charset.decode(_body(content), codec)
    return Message(header=_header(text, codec), content=text, codec=codec)


def _header(text: str, codec: str) -> Segment:
    line = re.split(r"[\r\n]", text, maxsplit=1)[0]
    return Segment(line, 1, Syntax(Delimiters.of(line), codec))


def _segments(text: str, codec: str) -> tuple[Segment, ...]:
    lines = _lines(text)
    syntax = Syntax(Delimiters.of(lines[0]), codec)
    seen: dict[str, int] = {}
    found: list[Segment] = []
    for line in lines:
        name = line[:3]
        if not _SEGMENT_NAME.match(name) or line[3:4] not in ("", syntax.delimiters.field):
            raise SegmentError("not-a-segment", Place(found[-1].name, found[-1].occurrence))
        seen[name] = seen.get(name, 0) + 1
        found.append(Segment(line, seen[name], syntax))
    if seen["MSH"] > 1:
        raise SegmentError("several-messages", Place("MSH", 2))
    return tuple(found)


def _lines(text: str) -> list[str]:
    """The segments' lines. CR ends a segment (section 2.5.2); senders that use LF or CR LF are understood as well."""
    end = re.search(r"[\r\n]", text)
    terminator = end.group() if end else "\r"
    if text.count(terminator) > MAX_SEGMENTS:
        raise TooMuch("too-many-segments")
    lines = [line.strip("\r\n") for line in text.split(terminator)]
    return [line for line in lines if line.strip()]


def _body(content: bytes) -> bytes:
    """Without the byte order mark and the blank lines that some senders put in front."""
    return content.removeprefix(_BYTE_ORDER_MARK).lstrip(b"\r\n\t ")


def _no_control_bytes(content: bytes) -> None:
    """FieldInvalid when a frame's own control characters stand inside it: two messages ran into one."""
    if b"\x0b" in content or b"\x00" in content:
        raise FieldInvalid("control-character", Place("MSH"))
