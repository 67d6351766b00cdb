"""Whether a planted string is anywhere in an output."""

import base64
import re
from collections.abc import Iterable, Iterator

from tests.support.deid_scoring.outputs import Output

_UID = re.compile(r"\d+(?:\.\d+)+")
_NEW_UID = re.compile(r"2\.25\.\d{20,39}")
_ENCODINGS = ("utf-8", "latin-1", "utf-16-le", "gb18030", "iso2022_jp", "euc_kr")


def survives(needle: str, output: Output, excused: Iterable[str] = ()) -> bool:
    """Whether ``needle`` is in the bytes or in any value, those at the ``excused`` paths apart."""
    if _UID.fullmatch(needle) and needle.count(".") > 2:
        return needle in output.uids or needle in output.name
    folded, pardoned = needle.lower(), set(excused)
    holds = [path for path, text in output.texts.items() if _in_text(folded, text)]
    if any(path not in pardoned for path in holds):
        return True
    # Somewhere that no value shows: beside elements, in code streams, in values that nothing decodes.
    return not holds and any(spelling in output.raw for spelling in _spellings(folded))


def _in_text(needle: str, text: str) -> bool:
    return needle in text and needle in _NEW_UID.sub("", text)


def _spellings(needle: str) -> Iterator[bytes]:
    for encoding in _ENCODINGS:
        try:
            yield needle.encode(encoding)
        except UnicodeEncodeError:
            continue
    for padding in range(3):  # base64, wherever it starts, of what comes in either case
        encoded = base64.b64encode(b"\0" * padding + needle.encode()).rstrip(b"=")
        if len(needle) >= 6:
            yield encoded[4 if padding else 0 : -2].lower()
