"""Whose object it is (PS3.3 section C.2.2), and who stands for them in a project."""

from collections.abc import Callable
from dataclasses import dataclass

from services.deid.domain.cleaning import ISSUER, PATIENT_ID, STUDY_INSTANCE
from services.deid.domain.pseudonyms import ProjectKey


@dataclass(frozen=True)
class Issuers:
    """Who gave Patient IDs that come without an Issuer of Patient ID (PS3.3 section C.2.2).

    ``default`` gave them everywhere; ``within`` has (Study Instance UID, issuer, Patient ID) of studies that hold both
    instances that name this issuer and instances that name none: a study is of one patient (PS3.3 section A.1.2).
    """

    default: str = ""
    within: frozenset[tuple[str, str, str]] = frozenset()

    def told(self, issuer: str, patient_id: str, study: str) -> str:
        """The issuer that tells patients apart: "" for one that is as good as none."""
        return "" if issuer == self.default or (study, issuer, patient_id) in self.within else issuer


NOBODY_ELSE = Issuers()


@dataclass(frozen=True)
class Person:
    """An original patient as the object names it: issuer and ID; and the Patient ID that goes out."""

    issuer: str
    patient_id: str
    pseudonym: str


def person_of(
    text: Callable[[int], str], key: ProjectKey, token: str | None = None, issuers: Issuers = NOBODY_ELSE
) -> Person:
    """Whose object this is, and the pseudonym that stands for (issuer, ID), or the match ``token``, in the project.

    ``text`` gives the value of an attribute in the original.

    Who names an issuer that is known for one that others leave out is who names none, so the pseudonyms of those do not
    depend on it.
    """
    issuer, patient_id, study = (text(tag) for tag in (ISSUER, PATIENT_ID, STUDY_INSTANCE))
    return Person(issuer, patient_id, key.patient(issuers.told(issuer, patient_id, study), patient_id, study, token))
