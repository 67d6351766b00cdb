"""Who waits for whom: of what stands in one line only the first is anybody's to work on."""

from collections import deque
from typing import Generic, Protocol, TypeAlias, TypeVar

from services.dicom_ingest.domain.study_scan import StudyKey

#: What a source (calling and called AE title) sends of a study, or one thing that nobody waits for, by its name.
Line: TypeAlias = tuple[str | None, tuple[str, str]] | str


class InLine(Protocol):
    """Anything that may wait."""

    line: Line


Item = TypeVar("Item", bound=InLine)


def line_of(key: StudyKey, source: tuple[str, str], name: str) -> Line:
    """The line of a batch; one whose study could not be read has one of its own, by its name."""
    return (key.study_uid, source) if key.known else name


class Lines(Generic[Item]):
    """Lines that come and go with what stands in them."""

    def __init__(self) -> None:
        self._lines: dict[Line, deque[Item]] = {}

    def join(self, item: Item) -> bool:
        """Put it at the end of its line; whether it is the first there."""
        line = self._lines.setdefault(item.line, deque())
        line.append(item)
        return len(line) == 1

    def first(self, line: Line) -> Item:
        """The first of a line; KeyError when nobody stands there."""
        return self._lines[line][0]

    def leave(self, line: Line) -> bool:
        """Take the first out of its line; whether there is another."""
        waiting = self._lines[line]
        waiting.popleft()
        if not waiting:
            del self._lines[line]
        return bool(waiting)
