"""What a site may have written in place of a value: the values of each VR (PS3.5 section 6.2), and how many (PS3.6)."""

import re

from services.deid.domain.dates import is_temporal
from services.deid.domain.keywords import multiplicity_of, shown

#: What a value of a VR may be, and how that is said; of texts of up to 64 printable ASCII characters.
_FORMS: dict[str, tuple[str, str]] = {
    "AE": (r"[ -~]{1,16}", "at most 16 characters"),
    "AS": (r"\d{3}[DWMY]", "an age such as 018M"),
    "CS": (r"[A-Z0-9 _]{1,16}", "at most 16 capitals, digits, spaces and underscores"),
    "DA": (r"\d{8}", "a date, yyyymmdd"),
    "DS": (r"(?=.{1,16}$)[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", "a decimal of at most 16 characters"),
    "DT": (r".+", "a date and time, yyyymmddhhmmss"),
    "IS": (r"(?=.{1,12}$)[+-]?\d+", "a whole number of 32 bits"),
    "LO": (r".{1,64}", "a text"),
    "LT": (r".+", "a text"),
    "PN": (r"[^=^]*(?:\^[^=^]*){0,4}(?:=[^=^]*(?:\^[^=^]*){0,4}){0,2}", "a name of at most three groups of five parts"),
    "SH": (r".{1,16}", "at most 16 characters"),
    "ST": (r".+", "a text"),
    "TM": (r"[\d.]{2,16}", "a time of day, hhmmss"),
    "UC": (r".+", "a text"),
    "UR": (r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+", "a URI"),
    "UT": (r".+", "a text"),
}
#: VRs of one value, in which a backslash is a character.
_SINGLE = frozenset(("LT", "ST", "UT"))
_TEMPORAL = frozenset(("DA", "DT", "TM"))

#: Of these VRs a text can be a value; numbers in binary, bytes, sequences and UIDs are none.
REPLACEABLE = frozenset(_FORMS)


def problem_of(text: str, tag: int, vr: str) -> str | None:
    """Why ``text``, printable ASCII, is no value of the attribute, whose ``vr`` is of REPLACEABLE; None when it is."""
    values = [text] if vr in _SINGLE else text.split("\\")
    multiplicity = multiplicity_of(tag)
    if not _are_so_many(len(values), multiplicity):
        return f"{shown(tag)} has {multiplicity} values, parted by '\\', and '{text}' has {len(values)}"
    if not all(_is_of(value, vr) for value in values):
        return f"'{text}' is no value of {shown(tag)}, whose VR is {vr}: {_FORMS[vr][1]}"
    return None


def _is_of(value: str, vr: str) -> bool:
    if not value.strip() or not re.fullmatch(_FORMS[vr][0], value):
        return False
    if vr in _TEMPORAL:
        return is_temporal(value.encode(), vr)
    return vr != "IS" or -(2**31) <= int(value) < 2**31


def _are_so_many(count: int, multiplicity: str) -> bool:
    """Whether that many values are as PS3.6 has it: 1, 1-3, 2-n, or 2-2n for pairs."""
    least, _, most = multiplicity.partition("-")
    if most.endswith("n"):
        return count >= int(least) and count % int(most[:-1] or 1) == 0
    return int(least) <= count <= int(most or least)
