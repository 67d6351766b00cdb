"""What a plug-in that finds names in free text must be; there is none by default."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from services.deid.domain.shapes import Span


class Recognizer(Protocol):
    """Finds names in descriptions and comments, never in structured fields."""

    def spans(self, text: str) -> Iterable[tuple[int, int, str]]:
        """Where ``text`` names somebody or something: start, end, and what is found there."""


def recognized(recognizer: Recognizer | None, text: str) -> Iterator[Span]:
    """What the plug-in finds; whatever it raises, and ValueError for a span outside of the text, withholds."""
    for start, end, _ in recognizer.spans(text) if recognizer else ():
        if not 0 <= start <= end <= len(text):
            raise ValueError("a span outside of the text")
        yield start, end
