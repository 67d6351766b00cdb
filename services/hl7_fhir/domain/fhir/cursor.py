"""Where the next page begins, as a word in its link that only this server can make (HMAC under the site key)."""

import hmac
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any

from services.hl7_fhir.domain.fhir.reading import SearchRefused
from shared.identity import SiteKey

#: Parameters that do not change which page is meant.
FREE = frozenset(("_cursor", "_count", "_format", "_pretty", "_elements"))
_WORD = re.compile(r"[A-Za-z0-9_\-]{1,400}\.[0-9a-f]{32}", re.ASCII)

Query = Sequence[tuple[str, str]]


def write(key: SiteKey, path: str, query: Query, place: Sequence[Any]) -> str:
    """The word for ``place`` in the answers to ``query`` at ``path``."""
    text = urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode().rstrip("=")
    return f"{text}.{_seal(key, path, query, text)}"


def read(key: SiteKey, path: str, query: Query) -> list[Any] | None:
    """The place that the query's ``_cursor`` names, None without one; SearchRefused unless made for this query."""
    words = [value for name, value in query if name == "_cursor"]
    if not words:
        return None
    if len(words) > 1 or not _WORD.fullmatch(words[0]):
        raise SearchRefused("cursor-unusable")
    text, _, seal = words[0].partition(".")
    if not hmac.compare_digest(seal, _seal(key, path, query, text)):
        raise SearchRefused("cursor-unusable")
    place: list[Any] = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return place


def _seal(key: SiteKey, path: str, query: Query, text: str) -> str:
    asked = [[name, value] for name, value in query if name not in FREE]
    return key.token("fhir-cursor", path, json.dumps(asked), text)
