"""One Part 10 file in, one out: header cleaned, pixel bytes passed through unchanged (PS3.10 section 7)."""

import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, BinaryIO, NamedTuple

from contracts.formats.headers import TOO_LARGE, header_line, opaque_line
from contracts.formats.lines import LINE_LIMIT
from contracts.formats.manifest import Instance, Routing
from services.deid.domain.cleaning import (
    SERIES_INSTANCE,
    SOP_CLASS,
    SOP_INSTANCE,
    STUDY_INSTANCE,
    Cleaner,
    text_of,
)
from services.deid.domain.coincidences import is_left
from services.deid.domain.dataset import (
    EXPLICIT_LITTLE,
    Element,
    Elements,
    Encoding,
    TooMuch,
    Unreadable,
    encode,
    encoding_of,
    parse,
)
from services.deid.domain.deflated import DEFLATED, deflate, header_so_far, inflated
from services.deid.domain.dicom_json import is_longer, to_json
from services.deid.domain.dictionary import is_registered
from services.deid.domain.fragments import with_tables
from services.deid.domain.identifiers import Identifiers
from services.deid.domain.looking.scanner import Look, TextFinder
from services.deid.domain.marks import with_pixels_cleaned
from services.deid.domain.options import Option
from services.deid.domain.passing import passage
from services.deid.domain.person import NOBODY_ELSE, Issuers, Person, person_of
from services.deid.domain.pictures.looking import Looked, looked_at
from services.deid.domain.pictures.retouch import Pictures
from services.deid.domain.pixels import Output, Untold
from services.deid.domain.profile import BASIC_PROFILE, Profile
from services.deid.domain.pseudonyms import ProjectKey
from services.deid.domain.recognizer import Recognizer
from services.deid.domain.record import Step
from services.deid.domain.rules import Rules
from services.deid.domain.values import uids_in
from services.deid.domain.withholding import Reason, Withheld
from shared.errors import RetryLater

#: A fixed UID of this software (PS3.7 annex D.3.3.2), and its name.
IMPLEMENTATION_UID, IMPLEMENTATION_NAME = "2.25.270695996825855179949881587723571202391", "CAUSEWAY_1"

#: A longer header is not taken apart: in memory it is there up to three times; bytes.
HEADER_LIMIT = 16 * 1024 * 1024
#: A line of the headers before its entry has a number; every entry's name is as long.
UNNUMBERED = "000000.dcm"


@dataclass(frozen=True)
class Project:
    """What de-identifies for one project; ``refuse`` says why a header's object may not go out, None when it may.

    ``second_engine`` looks for text in pixels once more, in what was made of them. ``approved`` is for what a person
    looks at and lets go: then nothing is held back that could be cleaned. ``issuers`` gave the Patient IDs of objects
    that name none: for files that no ingest has read, which tells by match token.
    """

    name: str
    key: ProjectKey
    rules: Rules
    refuse: Callable[[Elements], Reason | None]
    profile: Profile = BASIC_PROFILE
    pictures: Pictures | None = None
    recognizer: Recognizer | None = None
    second_engine: TextFinder | None = None
    approved: bool = False
    issuers: Issuers = NOBODY_ELSE

    @cached_property
    def look(self) -> Look:
        """The second look at what was cleaned for the project, which remembers where it found nothing."""
        return Look(self.ruling, self.profile, self.second_engine)

    @cached_property
    def ruling(self) -> Rules:
        """The rules under the profile."""
        return self.rules.under(self.profile)


@dataclass(frozen=True)
class Cleaned:
    """An instance that goes out: its line of the manifest (not placed yet), that of the headers, who it was, and what
    was done to its header."""

    instance: Instance
    line: bytes
    person: Person
    steps: Counter[Step] = field(default_factory=Counter)


class _Header(NamedTuple):
    """A cleaned header, whose it was, and what must not be in it."""

    elements: Elements
    person: Person
    names: Identifiers
    steps: Counter[Step]


def clean_file(source: BinaryIO, original: Instance, project: Project, sink: BinaryIO, *, told: bool = True) -> Cleaned:
    """Read the Part 10 file ``source`` as ``original`` describes it and write the cleaned one to ``sink``.

    Without ``told`` nothing is told of it beside the file: no digests, no checksum, no line of headers.
    Raises Withheld when it may not go out (what ``sink`` then holds is to be thrown away), RetryLater when files fail.
    """
    try:
        return _clean_file(source, original, project, Output(sink) if told else Untold(sink))
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


def _clean_file(source: BinaryIO, original: Instance, project: Project, output: Output) -> Cleaned:
    deflated = original.transfer_syntax in DEFLATED
    elements, pixels = (inflated if deflated else _stored)(source, original)
    header = _clean_header(elements, pixels, original, project)
    encoding = encoding_of(original.transfer_syntax)
    looked = _look(source, original, elements, pixels, project)
    syntax = looked.syntax or original.transfer_syntax
    passed = passage(source, original, elements, pixels, looked, project.pictures)
    cleaned = looked.told(header.elements, encoding)
    without = pixels is None and original.pixel_offset is None
    if project.profile.has(Option.CLEAN_PIXEL_DATA) and (looked.passed or without):
        cleaned = with_pixels_cleaned(cleaned, project.ruling.edition, project.profile)
    cleaned = with_tables(cleaned, passed.found)
    data = encode(cleaned, encoding)
    if header.names.in_header(data) and is_left(cleaned, header.names, encoding):
        raise Withheld(Reason.IDENTIFIER_LEFT)
    output.meta(file_meta(original.sop_class_uid, text_of(cleaned, SOP_INSTANCE), syntax))
    if deflated:
        facts = deflate(data, passed.inflated(pixels), passed.mask, output)
    else:
        output.data(data)
        facts = header_so_far(output) | passed.write(source, original, output)
    instance = _instance(original, cleaned, facts | output.facts() | {"transfer_syntax": syntax})
    line = b"" if isinstance(output, Untold) else _line(cleaned, encoding)
    return Cleaned(instance, line, header.person, header.steps)


def _look(source: BinaryIO, original: Instance, elements: Elements, pixels: Element | None, project: Project) -> Looked:
    """What was found in the pixels, where the profile has them cleaned."""
    if not project.profile.has(Option.CLEAN_PIXEL_DATA) or project.pictures is None:
        return Looked()
    profile, pictures = project.profile, project.pictures
    return looked_at(source, original, elements, pixels, profile, pictures, approved=project.approved)


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


def _clean_header(elements: Elements, pixels: Element | None, original: Instance, project: Project) -> _Header:
    if text_of(elements, SOP_CLASS) != original.sop_class_uid:
        raise Unreadable
    # That there are pixels, where there are: their element is no part of a header.
    shown = (Element(0x7FE00010, "OW"),) if pixels or original.pixel_offset is not None else ()
    if not project.approved:
        if original.sop_class_uid in project.profile.held_classes:
            raise Withheld(Reason.HELD_BY_PROFILE)
        if reason := project.refuse((*elements, *shown)):
            raise Withheld(reason)
    person = person_of(elements, project.key, original.routing.patient_token, project.issuers)
    project.key.expect(uids_in(elements))
    names = Identifiers(project.ruling, project.recognizer)
    names.leave_out(person.pseudonym)
    names.note_all(elements)
    if not project.profile.has(Option.RETAIN_UIDS):
        for tag in (SOP_INSTANCE, SERIES_INSTANCE, STUDY_INSTANCE):
            uid = text_of(elements, tag)
            names.note_uid("" if is_registered(uid) else uid)
    encoding = encoding_of(original.transfer_syntax)
    cleaner = Cleaner(project.ruling, project.key, names, person.pseudonym, project.profile, encoding=encoding)
    return _Header(cleaner.data_set(elements), person, names, cleaner.record.steps)


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
    return Instance(
        sop_class_uid=original.sop_class_uid,
        sop_instance_uid=text_of(cleaned, SOP_INSTANCE),
        study_uid=text_of(cleaned, STUDY_INSTANCE) or None,
        series_uid=text_of(cleaned, SERIES_INSTANCE) or None,
        routing=Routing(
            modality=text_of(cleaned, 0x00080060) or None,
            body_part=text_of(cleaned, 0x00180015) or None,
            image_type=tuple(filter(None, text_of(cleaned, 0x00080008).split("\\"))),
            series_number=_number(cleaned, 0x00200011),
            instance_number=_number(cleaned, 0x00200013),
        ),
        flags=original.flags,
        **facts,
    )


def _number(elements: Elements, tag: int) -> int | None:
    """The whole number that an attribute has in the header that goes out."""
    try:
        return int(text_of(elements, tag))
    except ValueError:
        return None
