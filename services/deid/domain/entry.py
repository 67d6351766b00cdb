"""What is told of a cleaned file: its line of the manifest, and that of the headers."""

from collections.abc import Callable
from typing import Any

from contracts.formats.headers import TOO_LARGE, header_line, opaque_line
from contracts.formats.lines import LINE_LIMIT
from contracts.formats.manifest import Instance, Routing
from services.deid.domain.cleaning import SERIES_INSTANCE, SOP_INSTANCE, STUDY_INSTANCE
from services.deid.domain.dataset import Elements, Encoding
from services.deid.domain.dicom_json import is_longer, to_json

#: A line of the headers before its entry has a number; every entry's name is as long.
UNNUMBERED = "000000.dcm"


def line_of(elements: Elements, encoding: Encoding) -> bytes:
    """The header's line, null when it would be too long."""
    if is_longer(elements, LINE_LIMIT):
        return opaque_line(UNNUMBERED, TOO_LARGE)
    return header_line(UNNUMBERED, to_json(elements, encoding))


def instance_of(
    original: Instance, text: Callable[[int], str], facts: dict[str, Any], routing: Routing | None = None
) -> Instance:
    """The line of the manifest: no digest of the source's, so none of the pixels alone.

    ``text`` gives the value of an attribute in the header that goes out.
    """
    return Instance(
        sop_class_uid=original.sop_class_uid,
        sop_instance_uid=text(SOP_INSTANCE),
        study_uid=text(STUDY_INSTANCE) or None,
        series_uid=text(SERIES_INSTANCE) or None,
        routing=routing or Routing(),
        flags=original.flags,
        **facts,
    )


def routing_of(text: Callable[[int], str]) -> Routing:
    """What policy may decide on, of the header that goes out."""
    return Routing(
        modality=text(0x00080060) or None,
        body_part=text(0x00180015) or None,
        image_type=tuple(filter(None, text(0x00080008).split("\\"))),
        series_number=_number(text, 0x00200011),
        instance_number=_number(text, 0x00200013),
    )


def _number(text: Callable[[int], str], tag: int) -> int | None:
    try:
        return int(text(tag))
    except ValueError:
        return None
