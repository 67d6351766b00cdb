"""Messages of our own as hl7apy builds them: by the structure and the data types that their version has for them."""

from collections.abc import Iterator, Sequence
from datetime import tzinfo
from functools import cache
from typing import Any

from hl7apy import load_reference
from hl7apy.base_datatypes import TextualDataType
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Field as FieldElement
from hl7apy.core import Message as MessageElement

from services.hl7_fhir.domain.messages.message import Field, Repetition
from services.hl7_fhir.domain.outgoing.receivers import Own
from services.hl7_fhir.domain.outgoing.telling import DATA_TYPES, News, SaidSegment, escaped, said, structure_of

_MARKS = {
    "FIELD": "|",
    "COMPONENT": "^",
    "REPETITION": "~",
    "ESCAPE": "\\",
    "SUBCOMPONENT": "&",
    "GROUP": "\r",
    "SEGMENT": "\r",
}


class Text(TextualDataType):
    """A value of any text type, written with all of chapter 2, section 2.7.

    hl7apy's own classes take ``\\F\\`` within a value for an escape sequence, and leave control characters as they are.
    """

    def __init__(self, value: str, datatype: str) -> None:
        """``datatype`` is that of the place, such as ``ID``."""
        super().__init__(value, max_length=None)
        self._datatype = datatype

    @property
    def classname(self) -> str:
        """The type that hl7apy holds against the place's."""
        return self._datatype

    def to_er7(self, encoding_chars: Any = None) -> str:
        """The value with escape sequences."""
        return escaped(str(self.value))


def write(form: str, own: Own, news: News, control_id: str, zone: tzinfo) -> str:
    """The message in ``form`` (a key of FORMS) with CR after each segment; times are local to ``zone``."""
    return build(structure_of(form), own.version, said(form, own, news, control_id, zone))


def build(structure: str, version: str, segments: Sequence[SaidSegment]) -> str:
    """The message of ``structure`` such as ``ORU_R01`` with ``segments``, MSH first, each where its group is.

    ValueError when the structure has no place for one of them after the one before.
    """
    message = MessageElement(
        structure, version=version, validation_level=VALIDATION_LEVEL.TOLERANT, encoding_chars=_MARKS
    )
    for name in ("MSH_7", "MSH_12"):  # which hl7apy has filled by itself
        message.msh.children.remove_by_name(name)
    places = iter(_places(structure, version))
    for segment in segments:
        element = message.msh if segment.name == "MSH" else _added(message, segment.name, places)
        for number, field in segment.fields.items():
            for repetition in field:
                _fill(element, f"{segment.name}_{number}", repetition)
    return str(message.to_er7()) + "\r"


def plain(segments: Sequence[SaidSegment]) -> str:
    """The same without hl7apy's tables, and so without any place or type of theirs: for what ``build`` cannot build."""
    return "".join(f"{_line(segment)}\r" for segment in segments)


def _line(segment: SaidSegment) -> str:
    fields = [_field(segment.fields.get(number, ())) for number in range(1, max(segment.fields, default=0) + 1)]
    if segment.name == "MSH":
        fields[:2] = ["^~\\&"]
    return "|".join((segment.name, *fields))


def _field(field: Field) -> str:
    return "~".join("^".join("&".join(map(escaped, part)) for part in repetition) for repetition in field)


def _added(message: Any, name: str, places: Iterator[tuple[str, tuple[str, ...]]]) -> Any:
    """A new segment in its groups, of which each is there once."""
    if name.startswith("Z"):
        return message.add_segment(name)
    path = next((path for found, path in places if found == name), None)
    if path is None:
        raise ValueError(f"no place for {name}")
    parent = message
    for group in path:
        parent = parent.children.indexes[group][0] if group in parent.children.indexes else parent.add_group(group)
    return parent.add_segment(name)


@cache
def _places(structure: str, version: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The segments of a structure in its order, with the groups that each is in."""
    return tuple(_walk(load_reference(structure, "Message", version), ()))


def _walk(reference: Any, path: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, child, _, sort in reference[1]:
        if sort == "GRP":
            yield from _walk(child, (*path, name))
        else:
            yield name, path


def _fill(segment: Any, name: str, repetition: Repetition) -> None:
    """Add a field, or a further repetition of it."""
    datatype = DATA_TYPES.get(name)
    field = FieldElement(name, datatype=datatype, version=segment.version)
    if field.datatype in _base(segment.version):
        field.value = Text(repetition[0][0], field.datatype)
    else:
        for number, component in enumerate(repetition, 1):
            _fill_component(field, number, component)
    segment.add(field)


def _fill_component(field: Any, number: int, parts: Sequence[str]) -> None:
    if not any(parts):
        return
    component = field.add_component(f"{field.datatype}_{number}")
    if component.datatype in _base(field.version):
        component.value = Text(parts[0], component.datatype)
        return
    for at, part in enumerate(parts, 1):
        if part:
            component.add_subcomponent(f"{component.datatype}_{at}").value = Text(part, "ST")


@cache
def _base(version: str) -> frozenset[str]:
    """The data types that have no parts."""
    from hl7apy import load_library

    return frozenset(load_library(version).get_base_datatypes())
