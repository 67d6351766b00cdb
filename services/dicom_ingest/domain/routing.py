"""What policy may decide on, read from the header (PS3.3 sections C.7.1 to C.7.6)."""

from typing import Any

from contracts.formats.manifest import Routing
from shared.identity import SiteKey

_Header = dict[str, dict[str, Any]]

#: Ids that stand for none; they never match anything. Compared in upper case without surrounding spaces.
PLACEHOLDERS = frozenset(
    {"", "0", "00", "000", "0000", "ANON", "ANONYM", "ANONYMIZED", "ANONYMOUS", "ANONYMOUSPATIENT", "DUMMY", "EMPTY"}
    | {"N/A", "NA", "NO ID", "NOID", "NONE", "NULL", "PATIENTID", "PATIENT ID", "UNKNOWN", "UNDEFINED"}
    | {"X", "XXX", "XXXX", "-", ".", "?"}
)

PATIENT_ID, ISSUER = "00100020", "00100021"
ACCESSION, ORDER_ISSUER = "00080050", "00080051"


def routing(header: _Header, site_key: SiteKey, *, patient_issuer: str, order_issuer: str) -> Routing:
    """The routing attributes; ``*_issuer`` is the default issuer of this site, where the header names none."""
    patient_id, accession = _id(header, PATIENT_ID), _id(header, ACCESSION)
    issuer = text(header, ISSUER) or patient_issuer
    return Routing(
        modality=text(header, "00080060"),
        body_part=text(header, "00180015"),
        station_name=text(header, "00081010"),
        image_type=tuple(str(part) for part in header.get("00080008", {}).get("Value", ()) if part),
        burned_in=text(header, "00280301"),
        study_date=text(header, "00080020"),
        series_number=_integer(header, "00200011"),
        instance_number=_integer(header, "00200013"),
        patient_token=patient_id and site_key.patient_token(issuer, patient_id),
        accession_token=accession and site_key.accession_token(_issuer_of_order(header) or order_issuer, accession),
    )


def _issuer_of_order(header: _Header) -> str | None:
    """Who issued the accession number: the local namespace, else the universal id (PS3.3 section 10.14, HD of HL7)."""
    item = next(iter(header.get(ORDER_ISSUER, {}).get("Value", ())), None)
    return (text(item, "00400031") or text(item, "00400032")) if isinstance(item, dict) else None


def text(header: _Header, tag: str) -> str | None:
    """The first value of a text attribute, None when there is none."""
    value = next(iter(header.get(tag, {}).get("Value", ())), None)
    return value if isinstance(value, str) else None


def _integer(header: _Header, tag: str) -> int | None:
    value = next(iter(header.get(tag, {}).get("Value", ())), None)
    return value if isinstance(value, int) else None


def _id(header: _Header, tag: str) -> str | None:
    value = text(header, tag)
    return None if value is None or value.strip().upper() in PLACEHOLDERS else value
