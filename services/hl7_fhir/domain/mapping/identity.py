"""Who a message speaks of: identity is (issuer, id), and what stands for "not known" never matches anything."""

import re
from dataclasses import dataclass

from services.hl7_fhir.domain.mapping.vocabulary import words
from services.hl7_fhir.domain.messages.message import Field, Repetition, part

#: Ids that a system sends when it has none. Compared in upper case without anything but letters and digits.
_PLACEHOLDERS = words(
    "ANON ANONYM ANONYMIZED ANONYMOUS ANONYMOUSPATIENT DESCONOCIDO DUMMY EMERGENCY EMPTY INCONNU NA NIL NOID NONE "
    "NOTAVAILABLE NOTKNOWN NULL PATIENT PATIENTID TBD TEMP TEMPORARY TEST TRAUMA UNBEKANNT UNDEFINED UNIDENTIFIED "
    "UNK UNKN UNKNOWN"
)
#: ... and names that are made on the spot for somebody nobody knows: "Trauma, Alpha", "UNKNOWN12", "Doe123".
_MADE_UP = re.compile(r"(TRAUMA|UNKNOWN|UNIDENTIFIED)[A-Z0-9]*\Z")


#: Types of identifiers (CX.5), those of a patient's own record number first.
RANKED_KINDS = ("MR", "MRN", "PI", "")

#: After the parts of CX.4, where nobody named the issuer and it is the sender's default (domain/mapping/issuers.py).
DEFAULTED = "default"

#: No system issues longer ids; DICOM's own bound is 64 (PS3.5 section 6.2, LO), that of HL7's HD 227.
MAX_LENGTH = 227


@dataclass(frozen=True)
class Identity:
    """An id with who issued it; ids of different issuers are never the same."""

    issuer: str
    value: str


def usable(value: str) -> bool:
    """Whether ``value`` can tell one person or order from another: not empty, not a placeholder, not one sign only."""
    bare = re.sub(r"[\W_]", "", value[: MAX_LENGTH + 1].upper())
    if not bare or len(value) > MAX_LENGTH or bare in _PLACEHOLDERS or _MADE_UP.match(bare):
        return False
    return len(set(bare)) > 1 or (bare[0] not in "0X" and len(bare) < 3)


def issuer_of(authority: tuple[str, ...], default: str) -> str:
    """The issuer that an HD component names: its namespace id, else its universal id, else ``default``.

    The namespace id comes first because that is what a modality puts into Issuer of Patient ID (0010,0021).
    """
    named = [part_.strip() for part_ in authority[:2] if part_.strip() and part_.strip() != '""']
    return named[0] if named else default


def cx_identity(repetition: Repetition, default_issuer: str) -> Identity | None:
    """(CX.4, CX.1), None when CX.1 can match nothing (HL7 v2.5 chapter 2.A.14)."""
    return _identity(part(repetition, 1), issuer_of(_component(repetition, 4), default_issuer))


def ei_identity(field: Field, default_issuer: str) -> Identity | None:
    """(EI.2 or EI.3, EI.1), None when EI.1 can match nothing (HL7 v2.5 chapter 2.A.28)."""
    if not field:
        return None
    authority = (part(field[0], 2), part(field[0], 3))
    return _identity(part(field[0], 1), issuer_of(authority, default_issuer))


def _identity(value: str, issuer: str) -> Identity | None:
    return Identity(issuer, value) if usable(value) and len(issuer) <= MAX_LENGTH else None


def patient_identity(listed: Field, external: Field, default_issuer: str) -> Identity | None:
    """The one identity of PID-3, else of PID-2 (where version 2.2 had it).

    The medical record number (type MR, then PI, then none) is preferred: others, such as an account or an insurance
    number, may be shared, change with the visit, or come only now and then.
    """
    for repetitions in (listed, external):
        found = [
            (_rank(part(repetition, 5)), identity)
            for repetition in repetitions
            if (identity := cx_identity(repetition, default_issuer))
        ]
        if found:
            return min(found, key=lambda ranked: ranked[0])[1]
    return None


def _rank(kind: str) -> int:
    return RANKED_KINDS.index(kind) if kind in RANKED_KINDS else len(RANKED_KINDS)


def _component(repetition: Repetition, number: int) -> tuple[str, ...]:
    return repetition[number - 1] if len(repetition) >= number else ()


def person_identities(listed: Field) -> tuple[Identity, ...]:
    """Every identity of PID-3 that names its issuer and stands for a person: no account, visit or insurance (PID-3.5).

    What a sender leaves out is known only to those who read its message, and an issuer is never guessed.
    """
    persons = (
        repetition
        for repetition in listed
        if _rank(part(repetition, 5)) < _rank("AN") and part(repetition, 4, 4) != DEFAULTED
    )
    found = (cx_identity(repetition, "") for repetition in persons)
    return tuple(identity for identity in found if identity and identity.issuer)
