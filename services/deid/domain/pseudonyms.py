"""Keyed pseudonyms of one project: the same for the same original wherever it stands, nothing without the key."""

from collections.abc import Callable
from typing import Protocol

from shared.identity import SiteKey

#: Patients without an ID of their own never match each other (they are told apart by their study): what ingest and
#: the RIS side take for no ID, too.
PLACEHOLDERS = frozenset(
    {"", "0", "00", "000", "0000", "ANON", "ANONYM", "ANONYMIZED", "ANONYMOUS", "ANONYMOUSPATIENT", "DUMMY", "EMPTY"}
    | {"N/A", "NA", "NO ID", "NOID", "NONE", "NULL", "PATIENT", "PATIENTID", "PATIENT ID", "TEST", "UNKNOWN"}
    | {"UNDEFINED", "X", "XXX", "XXXX", "-", ".", "?"}
)

#: Weeks by which dates move at most.
LONGEST_SHIFT = 520

#: In front of what stands for a patient whose match token nobody told (files without a manifest).
UNTOLD = "untold:"


class ProjectKey(SiteKey):
    """The secret of a project: 32 bytes of its own, so that two projects' outputs cannot be joined."""

    def uid(self, original: str) -> str:
        """A UID of the form 2.25.<128 bits> (PS3.5 annex B.2) for ``original``, one for one."""
        return f"2.25.{int(self.token('uid', original), 16)}"

    def patient(self, issuer: str, patient_id: str, study_uid: str, token: str | None = None) -> str:
        """The Patient ID that goes out for (issuer, id); 16 characters, so that it fits LO and SH alike.

        ``token`` is the patient's match token where one was told; it makes a difference only to a map.
        """
        if is_placeholder(patient_id):
            return _short(self.token("study-patient", study_uid))
        return _short(self.token("patient-id", issuer.strip(), patient_id.strip()))

    def days(self, pseudonym: str) -> int:
        """By how many days the dates of a patient move, named by the pseudonym: always back, by up to ten years.

        Whole weeks, so that days of the week stay what they were.
        """
        return -7 * (1 + int(self.token("date-shift", pseudonym), 16) % LONGEST_SHIFT)


class People(Protocol):
    """The durable map from patients to pseudonyms of one project; asked on worker threads."""

    def pseudonym(self, person: str, proposal: Callable[[int], str]) -> str:
        """What stands for ``person``, or for whom they were merged into.

        Where nothing does yet: the first of ``proposal(0)``, ``proposal(1)`` … that stands for nobody else. RetryLater.
        """
        ...


class MappedKey(ProjectKey):
    """A project whose pseudonyms are kept in a map: merged patients have one, and random ones are possible at all.

    ``draw`` gives a random pseudonym each time, for projects whose pseudonyms may not be derived from anything about
    the patient (45 CFR 164.514(c)); None for keyed ones.
    """

    def __init__(self, secret: bytes, people: People, draw: Callable[[], str] | None = None) -> None:
        super().__init__(secret)
        self._people = people
        self._draw = draw

    def patient(self, issuer: str, patient_id: str, study_uid: str, token: str | None = None) -> str:
        """As the map has it. The same patient is one by match token, with or without an issuer in the header."""
        keyed = super().patient(issuer, patient_id, study_uid)
        person = UNTOLD + self.token("person", keyed) if token is None or is_placeholder(patient_id) else token

        def proposal(number: int) -> str:
            if self._draw:
                return self._draw()
            return keyed if number == 0 else _short(self.token("patient-id", keyed, person, number))

        return self._people.pseudonym(person, proposal)


def is_placeholder(patient_id: str) -> bool:
    """Whether an ID stands for none."""
    return patient_id.strip().upper() in PLACEHOLDERS


def _short(token: str) -> str:
    return "P" + token[:15].upper()
