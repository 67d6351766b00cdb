"""One Part 10 file in, one out: header cleaned, pixel bytes passed through unchanged (PS3.10 section 7)."""

import hashlib
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

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
    PIXEL_DATA,
    Element,
    Elements,
    Unreadable,
    encode,
    encoding_of,
    parse,
)
from services.deid.domain.dicom_json import to_json
from services.deid.domain.identifiers import Identifiers
from services.deid.domain.pixels import Output, splice
from services.deid.domain.pseudonyms import ProjectKey
from services.deid.domain.rules import Rules
from services.deid.domain.withholding import Reason, Withheld
from shared.errors import RetryLater

#: A fixed UID of this software (PS3.7 annex D.3.3.2), and its name.
IMPLEMENTATION_UID, IMPLEMENTATION_NAME = "2.25.270695996825855179949881587723571202391", "CAUSEWAY_1"

DEFLATED = frozenset({"1.2.840.10008.1.2.1.99"})
#: A header longer than this, or a deflated object that inflates to more, is no header of an image; bytes.
HEADER_LIMIT = 32 * 1024 * 1024
INFLATED_LIMIT = 64 * 1024 * 1024


@dataclass(frozen=True)
class Project:
    """What de-identifies for one project; ``refuse`` says why a header's object may not go out, None when it may."""

    name: str
    key: ProjectKey
    rules: Rules
    refuse: Callable[[Elements], Reason | None]


@dataclass(frozen=True)
class Person:
    """An original patient as the object names it: issuer and ID; and the Patient ID that goes out."""

    issuer: str
    patient_id: str
    pseudonym: str


@dataclass(frozen=True)
class Cleaned:
    """An instance that goes out: its line of the manifest (not placed yet), its header as JSON, and who it was."""

    instance: Instance
    header: dict[str, Any]
    person: Person
    series_uid: str


def clean_file(source: BinaryIO, original: Instance, project: Project, sink: BinaryIO) -> Cleaned:
    """Read the Part 10 file ``source`` as ``original`` describes it and write the cleaned one to ``sink``.

    Raises Withheld when it may not go out (what ``sink`` then holds is to be thrown away), RetryLater when files fail.
    """
    try:
        return _clean_file(source, original, project, sink)
    except Withheld:
        raise
    except Unreadable:
        raise Withheld(Reason.UNREADABLE_HEADER) from None
    except OSError:
        raise RetryLater("work-area") from None  # a full disk says nothing of the instance
    except Exception:
        # Fail closed, and without the cause: its text may hold what was to be removed.
        raise Withheld(Reason.FAILED) from None


def _clean_file(source: BinaryIO, original: Instance, project: Project, sink: BinaryIO) -> Cleaned:
    deflated = original.transfer_syntax in DEFLATED
    header, pixels = _inflated(source, original) if deflated else _stored(source, original)
    cleaned, person, names = _clean_header(header, original, project)
    encoding = encoding_of(original.transfer_syntax)
    data = encode(cleaned, encoding)
    if names.in_header(data):
        raise Withheld(Reason.IDENTIFIER_LEFT)
    output = Output(sink)
    output.meta(file_meta(original.sop_class_uid, text_of(cleaned, SOP_INSTANCE), original.transfer_syntax))
    if deflated:
        data = _deflate(data + (encode([pixels], encoding) if pixels else b""))
        output.data(data)
        facts: dict[str, Any] = {"header_length": len(data)}
    else:
        output.data(data)
        facts = {"header_length": len(data), **splice(source, original, output)}
    instance = _instance(original, cleaned, {**facts, **output.facts(), "header_sha256": _sha256(data)})
    return Cleaned(instance, to_json(cleaned, encoding), person, original.series_uid or "")


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
    source.seek(original.dataset_offset)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(source.read(original.length), INFLATED_LIMIT)
    except zlib.error:
        raise Unreadable from None
    if inflater.unconsumed_tail:
        raise Withheld(Reason.TOO_LARGE)
    elements = parse(data, EXPLICIT_LITTLE)
    pixels = next((element for element in elements if element.tag in PIXEL_DATA), None)
    return tuple(element for element in elements if element.tag not in PIXEL_DATA), pixels


def _deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = deflater.compress(data) + deflater.flush()
    return deflated + b"\0" * (len(deflated) % 2)


def _clean_header(elements: Elements, original: Instance, project: Project) -> tuple[Elements, Person, Identifiers]:
    if text_of(elements, SOP_CLASS) != original.sop_class_uid:
        raise Unreadable
    if reason := project.refuse(elements):
        raise Withheld(reason)
    person = person_of(elements, project.key)
    names = Identifiers(project.rules)
    names.note_all(elements)
    for tag in (SOP_INSTANCE, SERIES_INSTANCE, STUDY_INSTANCE):
        names.note_uid(text_of(elements, tag))
    return Cleaner(project.rules, project.key, names, person.pseudonym).data_set(elements), person, names


def person_of(elements: Elements, key: ProjectKey) -> Person:
    """Whose object this is, and the pseudonym that stands for (issuer, ID) in the project."""
    issuer, patient_id = text_of(elements, ISSUER), text_of(elements, PATIENT_ID)
    return Person(issuer, patient_id, key.patient(issuer, patient_id, text_of(elements, STUDY_INSTANCE)))


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
    return (
        bytes(128) + b"DICM" + encode([Element(0x00020000, "UL", struct.pack("<I", len(meta)))], EXPLICIT_LITTLE) + meta
    )


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


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
