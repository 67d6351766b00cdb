"""Patients and strings that exist nowhere else: from a seed, the same on every machine."""

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

_STARTS = ("Br", "Gl", "Kr", "Sk", "Thr", "Vl", "Zw", "Dr", "Fj", "Pl", "Tr", "Schm")
_MIDDLES = ("aum", "eist", "oul", "uim", "andr", "ostr", "ielk", "ouv", "aert", "unz")
_ENDS = ("abel", "egrin", "osk", "uvet", "andul", "ikur", "ombe", "yrsk")
#: No vowels: no word, and no name, is among them.
_MARKS = "BCDFGHJKLMNPQRSTVWXZ23456789"


@dataclass(frozen=True)
class Patient:
    """One made-up person; ``shared`` may appear nowhere in what goes out."""

    number: int
    family: str
    given: str
    patient_id: str
    other_id: str
    born: date
    phone: str
    mail: str
    street: str

    @property
    def shared(self) -> dict[str, str]:
        """Identifiers by class."""
        return {
            self.family: "name",
            self.given: "name",
            self.patient_id: "id",
            self.other_id: "id",
            self.phone: "phone",
            self.mail: "email",
            self.street: "address",
            f"{self.born:%Y%m%d}": "dob",
            f"{self.born:%Y-%m-%d}": "dob",
        }


class Maker:
    """Makes strings and numbers; no two marks are the same."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self._given: set[str] = set()

    def mark(self, length: int = 8) -> str:
        """A random mark that occurs once."""
        while True:
            mark = "".join(self.random.choice(_MARKS) for _ in range(length))
            if mark not in self._given and not mark.isdigit():
                self._given.add(mark)
                return mark

    def name(self) -> str:
        """A name that no dictionary has."""
        while True:
            name = "".join(self.random.choice(each) for each in (_STARTS, _MIDDLES, _ENDS))
            if name not in self._given:
                self._given.add(name)
                return name

    def digits(self, count: int) -> str:
        """A number that does not begin with zero."""
        return str(self.random.randrange(10 ** (count - 1), 10**count))

    def day(self) -> date:
        """A day of the last century's last decades or later."""
        return date(1975, 1, 1) + timedelta(days=self.random.randrange(17_000))

    def uid(self) -> str:
        """A UID under a root of its own."""
        return f"1.2.826.0.1.3680043.9.{self.digits(5)}.{self.digits(9)}.{self.digits(10)}"

    def patient(self, number: int) -> Patient:
        """The next patient."""
        family, given = self.name(), self.name()
        mail = f"{family.lower()}.{self.mark(4).lower()}@{self.name().lower()}.example"
        phone = f"({self.digits(3)}) {self.digits(3)}-{self.digits(4)}"
        street = f"{self.digits(5)} {self.name()} Street"
        born = date(1930, 1, 1) + timedelta(days=self.random.randrange(18_000))
        return Patient(
            number, family, given, "Z" + self.digits(8), "HQ" + self.digits(9), born, phone, mail, street
        )  # fmt: skip
