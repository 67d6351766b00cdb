"""The values of a data set, each as it reads: texts decoded, UIDs and numbers whole, dates where they were."""

import struct
from collections.abc import Iterator

from services.deid.domain.looking.ours import may_be_ours, parts, without_terms
from services.deid.domain.looking.reader import Head, Leaf
from services.deid.domain.looking.search import Patterns
from services.deid.domain.looking.text import decode, decoded

NUMBERS = frozenset(("DS", "IS"))
TEMPORAL = frozenset(("DA", "DT"))
TEXT = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "UN"))
#: What may be a coded string: other software writes them as UN, too.
CODED = frozenset(("CS", "UN"))
_BYTES = frozenset(("OB", "OW"))
#: Numbers in two's complement or IEEE 754 (PS3.5 section 6.2) that may have six digits.
_BINARY = {"UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d", "OL": "I", "OV": "Q"}
#: Longer values are tables, not numbers of a patient's; bytes.
_FEW = 4096


def kinds_in(leaf: Leaf, data: bytes, patterns: Patterns, uids: frozenset[str], ours: frozenset[str]) -> Iterator[str]:
    """The kinds of what stands in a value that is no date; ``ours`` are the texts of our statements."""
    value = data[leaf.start : leaf.stop]
    if leaf.vr == "UI":
        if not uids.isdisjoint(value.decode("latin-1").strip(" \0").split("\\")):
            yield "uid"
    elif leaf.vr in NUMBERS:
        yield from patterns.in_numbers(value.decode("latin-1"))
    elif leaf.vr in _BINARY:
        yield from _in_binary(leaf, value, patterns)
    elif leaf.vr in _BYTES:
        yield from patterns.in_text(decode(value, ()), uids)
    elif leaf.vr in TEXT:
        text = without_terms(leaf.tag, decoded(data, leaf)) if leaf.vr in CODED else decoded(data, leaf)
        if not (may_be_ours(leaf) and ours.issuperset(parts(text))):
            yield from patterns.in_text(text, uids)


def _in_binary(leaf: Leaf, value: bytes, patterns: Patterns) -> Iterator[str]:
    order, code = "<" if leaf.little else ">", _BINARY[leaf.vr]
    if not patterns.numbers or len(value) > _FEW or len(value) % struct.calcsize("<" + code):
        return
    for (number,) in struct.iter_unpack(order + code, value):
        if abs(number) < 1e16 and number == int(number):
            yield from patterns.in_numbers(str(int(abs(number))))


def is_date_of(leaf: Leaf, after: Head, was: Leaf | None, before: Head, dates: frozenset[str]) -> bool:
    """Whether a date is an original's: as it ``was`` in its place, for where dates are moved others may coincide; any
    of ``dates`` where there was none."""
    new = dates_at(leaf, after.data)
    old = dates_at(was, before.data) if was else new
    return any(one == other and one in dates for one, other in zip(new, old, strict=False))


def dates_at(leaf: Leaf, data: bytes) -> list[str]:
    """The eight digits that each value of a DA or DT begins with."""
    values = data[leaf.start : leaf.stop].decode("latin-1").split("\\")
    return [value.strip(" \0").replace(".", "").replace("-", "")[:8] for value in values]
