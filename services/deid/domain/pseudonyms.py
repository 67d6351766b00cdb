"""Keyed pseudonyms of one project: the same for the same original wherever it stands, nothing without the key."""

from shared.identity import SiteKey

#: Patients without an ID of their own never match each other (they are told apart by their study).
PLACEHOLDERS = frozenset({"", "0", "UNKNOWN", "NONE", "N/A", "NA", "ANONYMOUS", "ANON", "PATIENT", "TEST"})

#: Weeks by which dates move at most.
LONGEST_SHIFT = 520


class ProjectKey(SiteKey):
    """The secret of a project: 32 bytes of its own, so that two projects' outputs cannot be joined."""

    def uid(self, original: str) -> str:
        """A UID of the form 2.25.<128 bits> (PS3.5 annex B.2) for ``original``, one for one."""
        return f"2.25.{int(self.token('uid', original), 16)}"

    def patient(self, issuer: str, patient_id: str, study_uid: str) -> str:
        """The Patient ID that goes out for (issuer, id); 16 characters, so that it fits LO and SH alike."""
        if patient_id.strip().upper() in PLACEHOLDERS:
            return "P" + self.token("study-patient", study_uid)[:15].upper()
        return "P" + self.token("patient-id", issuer.strip(), patient_id.strip())[:15].upper()

    def days(self, pseudonym: str) -> int:
        """By how many days the dates of a patient move, named by the pseudonym: always back, by up to ten years.

        Whole weeks, so that days of the week stay what they were.
        """
        return -7 * (1 + int(self.token("date-shift", pseudonym), 16) % LONGEST_SHIFT)
