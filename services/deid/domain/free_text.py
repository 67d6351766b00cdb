"""The harmless words of a text."""

import re

from services.deid.domain.identifiers import Identifiers
from services.deid.domain.rules import standard_rules

_WORD = re.compile(r"[A-Za-z]+")


class FreeText:
    """Leaves the words that are known to be harmless, and that are no name of this patient's."""

    def __init__(self, names: Identifiers) -> None:
        self._names = names

    def clean(self, text: str) -> str:
        """The harmless words of ``text``, "" when none stays."""
        words = standard_rules().common_words
        return " ".join(
            word for word in _WORD.findall(text) if word.lower() in words and not self._names.in_value(word.encode())
        )
