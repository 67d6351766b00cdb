"""DICOMweb as origin server: STOW-RS and QIDO-RS (PS3.2 section N.5.3; PS3.18 sections 10.5 and 10.6)."""

from collections.abc import Callable

from pydicom.datadict import keyword_for_tag

from cli.conformance import words
from cli.conformance.markdown import code, hexadecimal, table
from cli.conformance.scanning import reasons, refusals
from services.catalog.domain.attributes import KEYS, Level, kept_tags
from services.catalog.domain.search import MOST
from services.dicom_ingest.domain.stow import (
    DISAGREES,
    PROCESSING_FAILURE,
    Names,
    Outcome,
    failed,
    status_of,
)
from services.dicom_ingest.ports import SpoolRefused

_STOW = (
    "services.dicom_ingest.domain.stow",
    "services.dicom_ingest.domain.stow_media",
    "services.dicom_ingest.handlers.stow",
    "services.dicom_ingest.handlers.stow_body",
    "services.dicom_ingest.handlers.stow_parts",
    "services.dicom_ingest.handlers.stow_places",
    "services.dicom_ingest.adapters.multipart",
    "services.dicom_ingest.adapters.http_door",
)
_STORED, _WARNED = Outcome(Names()), Outcome(Names(), warning=DISAGREES)
_REFUSED = Outcome(Names(), failure=PROCESSING_FAILURE, kind=409)
_HOW = {
    "UI": "single value, list of UIDs",
    "DA": "single value, range",
    "TM": "single value, range",
    "IS": "single value",
}


def stow_statuses() -> str:
    """The HTTP statuses of a store request (PS3.18 table 10.5.3-1; RFC 9110)."""
    full = failed(Names(), SpoolRefused("disk-low"))
    rows: list[tuple[int, str]] = [
        (status_of([_STORED]), "all instances are stored"),
        (status_of([_STORED, _WARNED]), "all are stored, some with a warning"),
        (status_of([_STORED, _REFUSED]), "some are stored, others are not"),
        (status_of([]), "the body has no part"),
        (status_of([_REFUSED]), "none is stored, for reasons of the instances"),
        (status_of([full]), "none is stored: the disk is low; `Retry-After` says when to come again"),
        (status_of([failed(Names(), SpoolRefused("instance-too-large"))]), "none is stored: too large"),
        (status_of([failed(Names(), SpoolRefused("spool-closed"))]), "none is stored: come again"),
    ]
    rows += [
        (number or 0, f"{words.meaning(words.REQUEST, reason)} ({code(reason)})")
        for number, reason in reasons(refusals("RequestRefused", _STOW))
    ]
    return table(("HTTP status", "when"), sorted(dict.fromkeys(rows)))


def stow_reasons() -> str:
    """Failure and warning reasons of single parts (PS3.18 tables I.2-2 and I.2-3)."""
    found = refusals(
        "InstanceRefused",
        (
            "services.dicom_ingest.domain.stow",
            "services.dicom_ingest.handlers.stow_parts",
            "services.dicom_ingest.handlers.reception",
        ),
    )
    rows = [(hexadecimal(number or 0), words.meaning(words.REFUSED, reason)) for number, reason in reasons(found)]
    later = failed(Names(), SpoolRefused("disk-low")).failure or 0
    rows.append((hexadecimal(later), "the disk refuses, or the data set is too large"))
    rows.append((hexadecimal(PROCESSING_FAILURE), "an error of ours"))
    rows = sorted(rows)
    rows.append(
        (hexadecimal(DISAGREES), "Warning Reason: stored, and the data set is not what its file meta information says")
    )
    return table(("Failure Reason (0008,1197)", "when"), rows)


def qido_keys() -> str:
    """Which attributes a search may match (PS3.18 table 10.6.1-5)."""
    rows = [
        (
            f"{code('.'.join((key.sequence[1], key.keyword)) if key.sequence else key.keyword)}",
            f"({key.tag[:4]},{key.tag[4:]})",
            key.level.name.lower(),
            _HOW.get(key.vr, "single value, wildcards `*` and `?`"),
        )
        for key in KEYS
    ]
    return table(("attribute", "tag", "from level", "matching"), rows)


def qido_returned() -> str:
    """Which attributes an answer has beside those that are counted and the URL (PS3.18 section 10.6.3.3)."""
    rows = [(level.name.lower(), ", ".join(code(_keyword(tag)) for tag in kept_tags(level))) for level in Level]
    return f"{table(('level', 'attributes'), rows)}\n\nAt most {MOST:,} results in one answer."


def _keyword(tag: str) -> str:
    return keyword_for_tag(int(tag, 16)) or tag


PARTS: dict[str, Callable[[], str]] = {
    "stow-statuses": stow_statuses,
    "stow-reasons": stow_reasons,
    "qido-keys": qido_keys,
    "qido-returned": qido_returned,
}
