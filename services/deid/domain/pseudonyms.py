"""Keyed pseudonyms of one project: the same for the same original wherever it stands, nothing without the key."""

from collections.abc import Callable, Collection, Iterable, Mapping
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

#: Drawn UIDs that are remembered, 5 MB.
MOST_KNOWN = 20_000

#: In front of what stands for a patient whose match token nobody told (files without a manifest).
UNTOLD = "untold:"


class ProjectKey(SiteKey):
    """The secret of a project: 32 bytes of its own, so that two projects' outputs cannot be joined."""

    def uid(self, original: str) -> str:
        """A UID of the form 2.25.<128 bits> (PS3.5 annex B.2) for ``original``, one for one."""
        return uid_of(int(self.token("uid", original), 16))

    def expect(self, originals: Iterable[str]) -> None:
        """These UIDs will be asked for: whoever has to look them up may do so at once. RetryLater."""

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

    def uids(self, tokens: Collection[str]) -> Mapping[str, str]:
        """The new UID of each of ``tokens``: where there is none yet a random one, theirs for good. RetryLater."""
        ...


class MappedKey(ProjectKey):
    """A project whose pseudonyms are kept in a map, so that merged patients have one."""

    def __init__(self, secret: bytes, people: People) -> None:
        super().__init__(secret)
        self._people = people

    def patient(self, issuer: str, patient_id: str, study_uid: str, token: str | None = None) -> str:
        """As the map has it. The same patient is one by match token, with or without an issuer in the header."""
        keyed = super().patient(issuer, patient_id, study_uid)
        person = UNTOLD + self.token("person", keyed) if token is None or is_placeholder(patient_id) else token
        return self._people.pseudonym(person, lambda number: self._proposal(number, keyed, person))

    def _proposal(self, number: int, keyed: str, person: str) -> str:
        return keyed if number == 0 else _short(self.token("patient-id", keyed, person, number))


class RandomKey(MappedKey):
    """A project whose pseudonyms and UIDs may not be derived from what they stand for (45 CFR 164.514(c)(1)).

    All are drawn, and only the map knows of whom and what. ``draw`` gives a random pseudonym each time; ``most`` UIDs
    are remembered before all are forgotten, and looked up anew.
    """

    def __init__(self, secret: bytes, people: People, draw: Callable[[], str], most: int = MOST_KNOWN) -> None:
        super().__init__(secret, people)
        self._draw = draw
        self._most = most
        self._known: dict[str, str] = {}

    def uid(self, original: str) -> str:
        """As the map has it: ``original`` is looked up by an HMAC, and what it finds has nothing to do with that."""
        if original not in self._known:
            self.expect((original,))
        return self._known[original]

    def expect(self, originals: Iterable[str]) -> None:
        """Ask the map for all that were not asked for lately, in one go."""
        wanted = {self.token("drawn-uid", one): one for one in set(originals) - self._known.keys()}
        if not wanted:
            return
        if len(self._known) + len(wanted) > self._most:
            self._known.clear()
        self._known.update((wanted[token], new) for token, new in self._people.uids(wanted).items())

    def _proposal(self, number: int, keyed: str, person: str) -> str:
        return self._draw()


def uid_of(number: int) -> str:
    """The UID of the form 2.25.<number> (PS3.5 annex B.2) for 128 bits."""
    return f"2.25.{number}"


def is_placeholder(patient_id: str) -> bool:
    """Whether an ID stands for none."""
    return patient_id.strip().upper() in PLACEHOLDERS


def _short(token: str) -> str:
    return "P" + token[:15].upper()
