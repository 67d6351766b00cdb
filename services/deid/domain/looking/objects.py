"""Under which names objects are stored: words of ours and what a key makes of the rest, never anything of an input."""

import re

from shared.errors import Unprocessable

_OPAQUE = re.compile(r"(?:packs/[0-9a-f]{32}/(?:manifest|headers|archive)|(?:links|reports|quarantine)/[0-9a-f]{32})")


class TellingKey(Unprocessable):
    """The key of an object holds more than our own words and a token; it is not told what."""

    def __init__(self) -> None:
        super().__init__("telling-key")


def opaque(key: str) -> str:
    """The key of an object of the work area as it is; TellingKey when it is not made as it should be."""
    if not _OPAQUE.fullmatch(key):
        raise TellingKey
    return key
