"""One Part 10 file in, one out: header cleaned, pixel bytes passed through unchanged (PS3.10 section 7)."""

import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, BinaryIO, NamedTuple

from contracts.formats.headers import TOO_LARGE, header_line, opaque_line
from contracts.formats.lines import LINE_LIMIT
from contracts.formats.manifest import Instance, Routing
from services.deid.domain.cleaning import (
    ISSUER,
    PATIENT_ID,
    SERIES_INSTANCE,
    SOP_CLASS,
    SOP_INSTANCE,
    STUDY_INSTANCE,
    Cleaner,
    text_of,
)
from services.deid.domain.dataset import (
    EXPLICIT_LITTLE,
    LONG,
    PIXEL_DATA,
    Element,
    Elements,
    Encoding,
    TooMuch,
    Unreadable,
    encode,
    encoding_of,
    parse,
)
from services.deid.domain.dicom_json import is_longer, to_json
from services.deid.domain.identifiers import Identifiers
from services.deid.domain.looking.scanner import Look, TextFinder
from services.deid.domain.options import Option
from services.deid.domain.pixels import CHUNK, Output, splice
from services.deid.domain.profile import BASIC_PROFILE, Profile
from services.deid.domain.pseudonyms import ProjectKey
from services.deid.domain.record import Step
from services.deid.domain.rules import Rules
from services.deid.domain.withholding import Reason, Withheld
from shared.errors import RetryLater

#: A fixed UID of this software (PS3.7 annex D.3.3.2), and its name.
IMPLEMENTATION_UID, IMPLEMENTATION_NAME = "2.25.270695996825855179949881587723571202391", "CAUSEWAY_1"

DEFLATED = frozenset({"1.2.840.10008.1.2.1.99"})
#: A longer header is not taken apart: in memory it is there up to three times; bytes.
HEADER_LIMIT = 16 * 1024 * 1024
#: The same for a deflated object, which is inflated whole.
INFLATED_LIMIT = 32 * 1024 * 1024

#: A line of the headers before its entry has a number; every entry's name is as long.
UNNUMBERED = "000000.dcm"


@dataclass(frozen=True)
class Project:
    """What de-identifies for one project; ``refuse`` says why a header's object may not go out, None when it may.

    ``second_engine`` looks for text in pixels once more, in what was made of them. ``approved`` is for what a person
    looks at and lets go: then nothing is held back that could be cleaned.
    """

    name: str
    key: ProjectKey
    rules: Rules
    refuse: Callable[[Elements], Reason | None]
    profile: Profile = BASIC_PROFILE
    second_engine: TextFinder | None = None
    approved: bool = False

    @property
    def look(self) -> Look:
        """The second look at what was cleaned for the project."""
        return Look(self.ruling, self.profile, self.second_engine)

    @cached_property
    def ruling(self) -> Rules:
        """The rules under the profile."""
        return self.rules.under(self.profile)


@dataclass(frozen=True)
class Person:
    """An original patient as the object names it: issuer and ID; and the Patient ID that goes out."""

    issuer: str
    patient_id: str
    pseudonym: str


@dataclass(frozen=True)
class Cleaned:
    """An instance that goes out: its line of the manifest (not placed yet), that of the headers, who it was, and what
    was done to its header."""

    instance: Instance
    line: bytes
    person: Person
    steps: Counter[Step] = field(default_factory=Counter)


class _Header(NamedTuple):
    """A cleaned header, the pixels that were inflated with it, whose it was, and what must not be in it."""

    elements: Elements
    pixels: Element | None
    person: Person
    names: Identifiers
    steps: Counter[Step]


def clean_file(source: BinaryIO, original: Instance, project: Project, sink: BinaryIO) -> Cleaned:
    """Read the Part 10 file ``source`` as ``original`` describes it and write the cleaned one to ``sink``.

    Raises Withheld when it may not go out (what ``sink`` then holds is to be thrown away), RetryLater when files fail.
    """
    try:
        return _clean_file(source, original, project, sink)
    except (Withheld, RetryLater):
        raise
    except TooMuch:
        raise Withheld(Reason.TOO_LARGE) from None
    except Unreadable:
        raise Withheld(Reason.UNREADABLE_HEADER) from None
    except OSError:
        raise RetryLater("work-area") from None  # a full disk says nothing of the instance
    except Exception:
        # Fail closed, and without the cause: its text may hold what was to be removed.
        raise Withheld(Reason.FAILED) from None


def _clean_file(source: BinaryIO, original: Instance, project: Project, sink: BinaryIO) -> Cleaned:
    deflated = original.transfer_syntax in DEFLATED
    header = _clean_header(*(_inflated if deflated else _stored)(source, original), original, project)
    encoding = encoding_of(original.transfer_syntax)
    data = encode(header.elements, encoding)
    if header.names.in_header(data):
        raise Withheld(Reason.IDENTIFIER_LEFT)
    output = Output(sink)
    output.meta(file_meta(original.sop_class_uid, text_of(header.elements, SOP_INSTANCE), original.transfer_syntax))
    if deflated:
        facts = _deflate(data, header.pixels, output)
    else:
        output.data(data)
        facts = _header_so_far(output) | splice(source, original, output)
    instance = _instance(original, header.elements, facts | output.facts())
    return Cleaned(instance, _line(header.elements, encoding), header.person, header.steps)


def _line(elements: Elements, encoding: Encoding) -> bytes:
    """The header's line, null when it would be too long."""
    if is_longer(elements, LINE_LIMIT):
        return opaque_line(UNNUMBERED, TOO_LARGE)
    return header_line(UNNUMBERED, to_json(elements, encoding))


def _stored(source: BinaryIO, original: Instance) -> tuple[Elements, None]:
    if original.header_length > HEADER_LIMIT:
        raise Withheld(Reason.TOO_LARGE)
    source.seek(original.dataset_offset)
    data = source.read(original.header_length)
    if len(data) != original.header_length:
        raise Unreadable
    return parse(data, encoding_of(original.transfer_syntax)), None


def _inflated(source: BinaryIO, original: Instance) -> tuple[Elements, Element | None]:
    """Header and pixels of a deflated data set (PS3.5 section A.5), which is inflated whole."""
    elements = parse(_inflate(source, original), EXPLICIT_LITTLE)
    pixels = next((element for element in elements if element.tag in PIXEL_DATA), None)
    return tuple(element for element in elements if element.tag not in PIXEL_DATA), pixels


def _inflate(source: BinaryIO, original: Instance) -> bytes:
    if original.length - original.dataset_offset > INFLATED_LIMIT:
        raise Withheld(Reason.TOO_LARGE)
    source.seek(original.dataset_offset)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(source.read(original.length - original.dataset_offset), INFLATED_LIMIT)
    except zlib.error:
        raise Unreadable from None
    if inflater.unconsumed_tail:
        raise Withheld(Reason.TOO_LARGE)
    return data


def _deflate(data: bytes, pixels: Element | None, output: Output) -> dict[str, Any]:
    """Write the data set deflated, a piece at a time; all of it is its header then (docs/formats.md section 2)."""
    deflater = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    for piece in (data, *_pieces(pixels)):
        output.data(deflater.compress(piece))
    output.data(deflater.flush())
    if (output.length - output.dataset_offset) % 2:
        output.data(b"\0")
    return _header_so_far(output)


def _header_so_far(output: Output) -> dict[str, Any]:
    """The facts of a header that is the data set as far as it is written."""
    digest = output.facts()["dataset_sha256"]
    return {"header_length": output.length - output.dataset_offset, "header_sha256": digest}


def _pieces(pixels: Element | None) -> Iterator[bytes]:
    """The pixel element as encoded, without another copy of its value."""
    if pixels is None:
        return
    padding = len(pixels.value) % 2
    form = "<I" if pixels.vr in LONG else "<H"
    empty = encode([pixels._replace(value=b"")], EXPLICIT_LITTLE)
    yield empty[: -struct.calcsize(form)] + struct.pack(form, len(pixels.value) + padding)
    for start in range(0, len(pixels.value), CHUNK):
        yield pixels.value[start : start + CHUNK]
    yield b"\0" * padding


def _clean_header(elements: Elements, pixels: Element | None, original: Instance, project: Project) -> _Header:
    if text_of(elements, SOP_CLASS) != original.sop_class_uid:
        raise Unreadable
    if not project.approved:
        if original.sop_class_uid in project.profile.held_classes:
            raise Withheld(Reason.HELD_BY_PROFILE)
        if reason := project.refuse(elements):
            raise Withheld(reason)
    person = person_of(elements, project.key, original.routing.patient_token)
    names = Identifiers(project.ruling)
    names.note_all(elements)
    if not project.profile.has(Option.RETAIN_UIDS):
        for tag in (SOP_INSTANCE, SERIES_INSTANCE, STUDY_INSTANCE):
            names.note_uid(text_of(elements, tag))
    cleaner = Cleaner(project.ruling, project.key, names, person.pseudonym, project.profile)
    return _Header(cleaner.data_set(elements), pixels, person, names, cleaner.record.steps)


def person_of(elements: Elements, key: ProjectKey, token: str | None = None) -> Person:
    """Whose object this is, and the pseudonym that stands for (issuer, ID), or the match ``token``, in the project."""
    issuer, patient_id = text_of(elements, ISSUER), text_of(elements, PATIENT_ID)
    return Person(issuer, patient_id, key.patient(issuer, patient_id, text_of(elements, STUDY_INSTANCE), token))


def file_meta(sop_class: str, sop_instance: str, transfer_syntax: str) -> bytes:
    """A preamble of zeros and File Meta Information of our own (PS3.10 section 7.1)."""
    meta = encode(
        [
            Element(0x00020001, "OB", b"\0\1"),
            Element(0x00020002, "UI", sop_class.encode()),
            Element(0x00020003, "UI", sop_instance.encode()),
            Element(0x00020010, "UI", transfer_syntax.encode()),
            Element(0x00020012, "UI", IMPLEMENTATION_UID.encode()),
            Element(0x00020013, "SH", IMPLEMENTATION_NAME.encode()),
        ],
        EXPLICIT_LITTLE,
    )
    length = encode([Element(0x00020000, "UL", struct.pack("<I", len(meta)))], EXPLICIT_LITTLE)
    return bytes(128) + b"DICM" + length + meta


def _instance(original: Instance, cleaned: Elements, facts: dict[str, Any]) -> Instance:
    """The line of the manifest: no digest of the source's, so none of the pixels alone."""
    routing = original.routing
    return Instance(
        sop_class_uid=original.sop_class_uid,
        sop_instance_uid=text_of(cleaned, SOP_INSTANCE),
        study_uid=text_of(cleaned, STUDY_INSTANCE) or None,
        series_uid=text_of(cleaned, SERIES_INSTANCE) or None,
        transfer_syntax=original.transfer_syntax,
        routing=Routing(
            modality=text_of(cleaned, 0x00080060) or None,
            body_part=text_of(cleaned, 0x00180015) or None,
            image_type=tuple(filter(None, text_of(cleaned, 0x00080008).split("\\"))),
            series_number=routing.series_number,
            instance_number=routing.instance_number,
        ),
        flags=original.flags,
        **facts,
    )
