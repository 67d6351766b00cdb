"""Whether a message fits the profile of its version, as hl7apy's tables have it."""

from functools import cache
from typing import Any

from hl7apy import load_reference
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from services.hl7_fhir.domain.messages.message import read
from services.hl7_fhir.domain.messages.refusal import Refused


def fits_own_profile(content: bytes) -> bool:
    """Whether a message of our own fits the profile that its header names (MSH-9.3, MSH-12): milliseconds of CPU."""
    try:
        message = read(content, "utf-8")
    except Refused:
        return False
    return fits_profile(message.content, message.header.text(9, 3), message.header.text(12))


def fits_profile(text: str, structure: str, version: str) -> bool:
    """Whether hl7apy takes ``text`` (``structure`` such as ``ORU_R01``) in strict validation, segment by segment.

    Its tables ask for every member of the group of detail segments of ORM^O01, of which a message has one (chapter 4,
    section 4.4.1, "one of"): there only OBR is asked for. Segments that begin with Z it does not look at.
    """
    profile = {structure: _order_profile(version)} if structure == "ORM_O01" else None
    try:
        parsed = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT, message_profile=profile)
        # What it has no place for it may drop without a word.
        return bool(parsed.validate()) and _names(parsed.to_er7()) == _names(text)
    except Exception:  # hl7apy also raises what Python does where its tables and a message do not meet
        return False


def _names(text: str) -> list[str]:
    """The segments of the standard, in their order."""
    return [line[:3] for line in text.split("\r") if line and not line.startswith("Z")]


@cache
def _order_profile(version: str) -> Any:
    return _with_obr_alone(load_reference("ORM_O01", "Message", version))


def _with_obr_alone(reference: Any) -> Any:
    kind, children, *rest = reference
    return (kind, tuple(_child(child) for child in children), *rest)


def _child(child: Any) -> Any:
    name, reference, cardinality, sort = child
    if sort != "GRP":
        return child
    if name.endswith(("_CHOICE", "_SUPPGRP")):
        kind, members, *rest = reference
        reference = (kind, tuple(member for member in members if member[0] == "OBR"), *rest)
    else:
        reference = _with_obr_alone(reference)
    return (name, reference, cardinality, sort)
