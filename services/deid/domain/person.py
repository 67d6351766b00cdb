"""Whose object it is (PS3.3 section C.2.2), and who stands for them in a project."""

from dataclasses import dataclass

from services.deid.domain.cleaning import ISSUER, PATIENT_ID, STUDY_INSTANCE, text_of
from services.deid.domain.dataset import Elements
from services.deid.domain.pseudonyms import ProjectKey


@dataclass(frozen=True)
class Person:
    """An original patient as the object names it: issuer and ID; and the Patient ID that goes out."""

    issuer: str
    patient_id: str
    pseudonym: str


def person_of(elements: Elements, key: ProjectKey, token: str | None = None, default_issuer: str = "") -> Person:
    """Whose object this is, and the pseudonym that stands for (issuer, ID), or the match ``token``, in the project.

    Who names the ``default_issuer`` is who names none, so the pseudonyms of those do not depend on it.
    """
    issuer, patient_id = text_of(elements, ISSUER), text_of(elements, PATIENT_ID)
    told = "" if issuer == default_issuer else issuer
    return Person(issuer, patient_id, key.patient(told, patient_id, text_of(elements, STUDY_INSTANCE), token))
