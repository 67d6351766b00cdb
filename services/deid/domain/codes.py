"""Code items (PS3.3 section 8.8): codes of published schemes (PS3.16 section 8), and what they mean."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple

from services.deid.domain.dataset import Element
from services.deid.domain.tables import shipped
from services.deid.domain.technical import is_technical

SCHEME, MEANING = 0x00080102, 0x00080104
#: Short, long and URN Code Value.
CODES = (0x00080100, 0x00080119, 0x00080120)
_READ = frozenset((SCHEME, *CODES))
#: UCUM is a grammar of units, so no pattern can tell its codes.
_UNITS = "UCUM"
#: Two last digits before the check digit of a SNOMED CT concept: core, and of an extension.
_CONCEPT = re.compile(r"\d{3,15}[01]0\d")
#: The dihedral group of order 10, and the permutation of the check digit of Verhoeff.
_TURNS = ("0123456789", "1234067895", "2340178956", "3401289567", "4012395678")
_MIRRORS = ("5987604321", "6598710432", "7659821043", "8765932104", "9876543210")
_PERMUTED = "1576283094"

#: What the codes of a published scheme look like, by scheme.
Schemes = Mapping[str, re.Pattern[str]]


class Coding(NamedTuple):
    """The scheme and the code of an item; ``published``: the scheme is, and the code is one of it by its looks."""

    scheme: str = ""
    code: str = ""
    published: bool = False

    def means(self, meaning: str) -> bool:
        """Whether that is what PS3.16 says that the code means."""
        return self.published and meaning in standard_meanings().get(self.scheme, {}).get(self.code, "").split("|")


NO_CODE = Coding()


def coding_of(elements: Iterable[Element], schemes: Schemes) -> Coding:
    """What the elements of an item say of its code; ``NO_CODE`` where they name no scheme."""
    found = {each.tag: each.value.decode("latin-1").strip(" \0") for each in elements if each.tag in _READ}
    scheme = found.pop(SCHEME, "")
    codes = [code for code in found.values() if code]
    if not scheme:
        return NO_CODE
    published = scheme in schemes and all(is_published(scheme, code, schemes) for code in codes)
    return Coding(scheme, codes[0] if codes else "", published)


def is_published(scheme: str, code: str, schemes: Schemes) -> bool:
    """Whether ``code`` is one of the published ``scheme``: PS3.16 has it, or it looks like one, check digits too."""
    if code in standard_meanings().get(scheme, {}):
        return True
    if scheme == _UNITS:
        return is_technical(code)
    return schemes[scheme].fullmatch(code) is not None and _CHECKS.get(scheme, _any)(code)


@cache
def standard_meanings() -> Mapping[str, Mapping[str, str]]:
    """The meanings of the codes of PS3.16 by scheme and code, several parted by ``|``; read once."""
    table = shipped("code_meanings.json")
    return dict(table["schemes"])


def _any(_code: str) -> bool:
    return True


def _is_concept(code: str) -> bool:
    """A SNOMED CT identifier of a concept (SNOMED CT Release File Specification, sections 5.6 and 5.7)."""
    if not _CONCEPT.fullmatch(code):
        return False
    check = 0
    for place, digit in enumerate(reversed(code)):
        moved = int(digit)
        for _ in range(place % 8):
            moved = int(_PERMUTED[moved])
        check = int((_TURNS + _MIRRORS)[check][moved])
    return check == 0


def _is_loinc(code: str) -> bool:
    """A LOINC code with its check digit (Luhn's)."""
    digits = [int(digit) for digit in reversed(code.replace("-", ""))]
    doubled = sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + doubled) % 10 == 0


_CHECKS = {"SCT": _is_concept, "LN": _is_loinc}
