"""What was made of the elements of earlier headers: nearly all of a series' are equal from slice to slice.

What becomes of an element depends on its bytes and on its ``Context`` alone. So what came before, in the same context,
is not read, cleaned, encoded and searched again.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable

from services.deid.domain.dataset import Element, Elements, Encoding
from services.deid.domain.names import Names
from services.deid.domain.record import Notes, Step, steps_of
from services.deid.domain.stretch import Context, Made, Steps, Stretch

#: Bytes that may be kept in mind, by a high estimate, and the longest element that is.
LIMIT, LONGEST = 2 * 1024 * 1024, 16 * 1024
#: A private element of more bytes is read, and kept in mind like any other.
LONGEST_PASSING = 64
#: So many contexts, different notes, and totals of so many elements.
_CONTEXTS, _NOTES, _TOTALS, _TOTALLED = 8, 4096, 64, 1024
#: What a read or a cleaned element takes in bytes, each in its items too, beside twice its value.
_EACH = 512


class Seen:
    """What was read in one encoding.

    ``known``: elements by their bytes. ``latest``: by tag, the bytes that an attribute had last. ``passing``: by tag,
    what stands for private elements whatever their value is. ``line``: what lay side by side in the last header and
    had come before, in its order.
    """

    def __init__(self) -> None:
        self.known: dict[bytes, Stretch] = {}
        self.latest: dict[int, bytes] = {}
        self.passing: dict[int, Stretch] = {}
        self.line: list[Stretch] = []


class Memo:
    """Belongs to one project, so to one key, one profile and its rules. Forgets everything when it is full."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._forget()

    def _forget(self) -> None:
        self._left = self._limit
        self._seen: dict[Encoding, Seen] = {}
        self._contexts: dict[Hashable, Context] = {}
        self._names: dict[Elements, Names] = {}
        self._steps: dict[Notes, Steps] = {}
        self._totals: dict[tuple[Steps, ...], Counter[Step]] = {}

    def seen(self, encoding: Encoding) -> Seen:
        """What was read in that encoding."""
        return self._seen.setdefault(encoding, Seen())

    def keep(self, raw: bytes, stretch: Stretch, encoding: Encoding) -> None:
        """Keep in mind what was read from ``raw``, unless that is too long."""
        if len(raw) <= LONGEST and self._has_room(stretch.count, len(raw)):
            stretch.raw, stretch.made = raw, {}
            seen = self.seen(encoding)
            seen.known[raw], seen.latest[stretch.first] = stretch, raw

    def passing(self, tag: int, encoding: Encoding) -> Stretch:
        """What stands for a private element of that tag, whatever its value is."""
        stretch = Stretch(Element(tag, "UN"), 1)
        if self._has_room(1, LONGEST_PASSING):
            stretch.made = {}
            self.seen(encoding).passing[tag] = stretch
        return stretch

    def keep_made(self, stretch: Stretch, context: Context, made: Made) -> None:
        """Keep in mind what became of a stretch, if that itself is."""
        size = sum(len(each.encoded) for each in made.kept.values())
        if isinstance(stretch.made, dict) and self._has_room(stretch.count, size):
            stretch.made[context] = made

    def _has_room(self, count: int, size: int) -> bool:
        """Take room for so many elements and bytes; False where there never is as much."""
        needed = _EACH * count + 2 * size
        if needed > self._limit:
            return False
        if needed > self._left:
            self._forget()
        self._left -= needed
        return True

    def context(self, key: Hashable, new: Callable[[], Context]) -> Context:
        """The context of that key, made where it is not known."""
        found = self._contexts.get(key)
        if found is None:
            found = new()
            if len(self._contexts) >= _CONTEXTS:
                self._forget()
            self._contexts[key] = found
        return found

    def names(self, telling: Elements, new: Callable[[], Names]) -> Names:
        """What these elements name, found out where it is not known."""
        found = self._names.get(telling)
        if found is None:
            found = new()
            if len(self._names) >= _CONTEXTS:
                self._names.clear()
            self._names[telling] = found
        return found

    def steps(self, notes: Notes) -> Steps:
        """The object for these notes, as long as there are not too many different ones."""
        found = self._steps.get(notes)
        if found is None:
            found = Steps(notes)
            if len(self._steps) < _NOTES:
                self._steps[notes] = found
        return found

    def total(self, steps: Iterable[Steps]) -> Counter[Step]:
        """How often each step was done to an object; one counter for the same steps, which nobody may change."""
        key = tuple(steps)
        found = self._totals.get(key)
        if found is None:
            found = steps_of(each.notes for each in key)
            if len(self._totals) >= _TOTALS:
                self._totals.clear()
            if len(key) <= _TOTALLED:
                self._totals[key] = found
        return found
