"""Ages in measurements: from the oldest age of a profile on they are one (45 CFR 164.514(b)(2)(i)(C))."""

import math
import re

from services.deid.domain.dataset import Elements

NUMERIC_VALUE, UNITS = 0x0040A30A, 0x004008EA
#: Floating Point Value, Rational Numerator and Denominator Value: the same number in other forms (PS3.3 C.18.1).
OTHER_FORMS = frozenset((0x0040A161, 0x0040A162, 0x0040A163))
_CODE = 0x00080100
#: So many of each unit of UCUM a year has.
_PER_YEAR = {
    "a": 1, "a_j": 1, "a_g": 1, "a_t": 1, "mo": 12, "mo_j": 12, "mo_g": 12, "wk": 52.1775, "d": 365.25, "h": 8766,
    "min": 525960, "s": 31557600,
}  # fmt: skip
#: Whose years a measurement has that is no age by its concept: nobody's are more, and half-lives of nuclides are.
_LONGEST_LIFE = 130
_NUMBERS = re.compile(r"\d+")


def with_capped_age(item: Elements, oldest: int, *, is_age: bool) -> Elements:
    """An item with Numeric Value: ages of ``oldest`` years and more as that age.

    ``is_age``: its concept says so. Else a number of years that only a life has counts as one.
    """
    value = next((each for each in item if each.tag == NUMERIC_VALUE and each.items is None), None)
    per_year = _PER_YEAR.get(_unit(item), 1 if is_age else None)
    if value is not None and per_year is not None and _is_old(value.value, oldest, per_year, is_age=is_age):
        capped = value._replace(value=str(round(oldest * per_year)).encode())
        return tuple(capped if each is value else each for each in item if each.tag not in OTHER_FORMS)
    return tuple(each for each in item if each.tag not in OTHER_FORMS) if is_age else item


def is_old_age(number: float, unit: str, oldest: int) -> bool:
    """Whether so many of a unit of time are ``oldest`` years or more, as only a life has them."""
    return unit in _PER_YEAR and oldest <= number / _PER_YEAR[unit] <= _LONGEST_LIFE


def tells_old_age(text: str, oldest: int) -> bool:
    """Whether any number in the text of an age is ``oldest`` or more."""
    return any(len(number) > 3 or int(number) >= oldest for number in _NUMBERS.findall(text))


def _is_old(value: bytes, oldest: int, per_year: float, *, is_age: bool) -> bool:
    """Whether any of the values is; what is no number is none of an age."""
    for one in value.decode("latin-1").strip(" \0").split("\\"):
        try:
            years = float(one) / per_year
        except ValueError:
            return is_age
        if not math.isfinite(years) or (years >= oldest and (is_age or years <= _LONGEST_LIFE)):
            return True
    return False


def _unit(item: Elements) -> str:
    """The UCUM code of the units."""
    units = next((each.items[0] for each in item if each.tag == UNITS and each.items), ())
    return next((each.value.decode("latin-1").strip(" \0") for each in units if each.tag == _CODE), "")
