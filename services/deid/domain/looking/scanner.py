"""One cleaned file and what is told of it, searched for what its original holds (fails closed: see packing.py)."""

import bisect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from io import BytesIO
from typing import BinaryIO, NamedTuple, Protocol

from services.deid.domain.dataset import Unreadable
from services.deid.domain.looking.documents import kinds_in_document
from services.deid.domain.looking.leaves import CODED, NUMBERS, TEMPORAL, is_date_of, kinds_in
from services.deid.domain.looking.needles import Needles, is_kept, needles_of, texts_of_study
from services.deid.domain.looking.ours import may_be_ours, our_texts, parts, without_terms
from services.deid.domain.looking.pixels import in_rest
from services.deid.domain.looking.precedents import Precedents, Told, Under
from services.deid.domain.looking.reader import Broken, Head, Leaf, read_head
from services.deid.domain.looking.search import Patterns, patterns_of
from services.deid.domain.looking.text import decoded
from services.deid.domain.names import NOBODY, Names
from services.deid.domain.options import Option
from services.deid.domain.profile import Profile
from services.deid.domain.rules import Rules
from services.deid.domain.withholding import Withheld

#: Numbers are no text; UIDs and dates are looked at as such.
_NO_TEXT = frozenset(("UI", *TEMPORAL, *NUMBERS))
_MOST_FINDINGS = 100
#: The kind of a finding that people can judge by the pictures.
TEXT_IN_PIXELS = "text-in-pixels"


class Finding(NamedTuple):
    """Something that should not be there: where (a tag path, a byte of the file, a document) and of which kind; never
    what it says."""

    place: str
    kind: str


class TextFinder(Protocol):
    """Finds lettering in the pixels of a file, with another engine than the one that cleaned them."""

    def text_boxes(self, file: BinaryIO) -> Iterable[tuple[int, tuple[int, int, int, int]]]:
        """The frame (from 0) and x0, y0, x1, y1 of each box of text that is still legible."""
        ...


@dataclass(frozen=True)
class Look:
    """What a look needs to know: the rules' lists, what the profile lets stay, and who reads pixels, if anybody."""

    rules: Rules
    profile: Profile
    pixels: TextFinder | None = None
    precedents: Precedents = field(default_factory=Precedents, compare=False, repr=False)

    @cached_property
    def ours(self) -> frozenset[str]:
        """The texts of our own statements."""
        return our_texts(self.rules.edition, self.profile)

    @cached_property
    def _under(self) -> Under:
        return Under(self.rules, self.profile, self.ours)

    def at(
        self,
        original: BinaryIO,
        cleaned: BinaryIO,
        told: Iterable[tuple[str, bytes]] = (),
        study: Names = NOBODY,
    ) -> tuple[Finding, ...]:
        """What of ``original``, or of what the headers of its ``study`` name, is still in ``cleaned``, or in what is
        ``told`` of it: (name, JSON document or text).

        Both are Part 10 files. Finds something, too, where either can't be read.
        """
        told, named = tuple(told), texts_of_study(study, self.rules.common_words)
        try:
            clear = self.precedents.clear(original, cleaned, told, named, self._under)
            found = [] if clear else self._searched(original, cleaned, told, named)
        except Broken:
            return (Finding("file", "unreadable"),)
        if self.pixels is not None and self.profile.has(Option.CLEAN_PIXEL_DATA):
            found += _in_pixels(self.pixels, cleaned)
        return tuple(dict.fromkeys(found))[:_MOST_FINDINGS]

    def _searched(self, original: BinaryIO, cleaned: BinaryIO, told: Told, named: Mapping[str, str]) -> list[Finding]:
        """All of it searched, remembered when there is nothing; Broken when a file can't be read."""
        before, after = read_head(original), read_head(cleaned)
        own = needles_of(before, self.rules, self.profile)
        needles = replace(own, texts={**named, **own.texts})
        patterns = patterns_of(needles)
        found = [
            *self._in_leaves(before, after, needles, patterns),
            *self._in_bytes(after, needles, patterns),
            *_in_rest(after, cleaned, patterns),
            *self._in_told(told, needles, patterns),
        ]
        if not found:
            self.precedents.learn(before, after, told, needles, patterns, self._under)
        return found

    def _in_leaves(self, before: Head, after: Head, needles: Needles, patterns: Patterns) -> Iterator[Finding]:
        """Values as they read."""
        moved = self.profile.has(Option.MODIFIED_DATES)
        was = {leaf.path: leaf for leaf in before.leaves if leaf.vr in TEMPORAL} if moved else {}
        for leaf in after.leaves:
            if is_kept(leaf.tag, self.profile):
                continue
            if leaf.vr not in TEMPORAL:
                kinds = kinds_in(leaf, after.data, patterns, needles.uids, self.ours)
                yield from (Finding(leaf.path, kind) for kind in kinds)
            elif is_date_of(leaf, after, was.get(leaf.path), before, needles.dates):
                yield Finding(leaf.path, "date")

    def _in_bytes(self, head: Head, needles: Needles, patterns: Patterns) -> Iterator[Finding]:
        """The bytes of the head as they lie, with the leaf that they are in."""
        starts = [leaf.start for leaf in head.leaves]
        for at, kind in patterns.in_bytes(head.data[: head.rest].lower(), needles.uids):
            index = bisect.bisect_right(starts, at) - 1
            leaf = head.leaves[index] if index >= 0 and at < head.leaves[index].stop else None
            if leaf is None:
                yield Finding(f"byte {at}", kind)
            elif leaf.vr not in _NO_TEXT and not self._is_meant(leaf, head):
                yield Finding(leaf.path, kind)

    def _is_meant(self, leaf: Leaf, head: Head) -> bool:
        """Whether what stands there stands there by intention: the profile keeps it, or it is our own statement, or a
        term of the standard."""
        if is_kept(leaf.tag, self.profile):
            return True
        if leaf.vr in CODED and not without_terms(leaf.tag, decoded(head.data, leaf)).strip("\\"):
            return True
        return may_be_ours(leaf) and self.ours.issuperset(parts(decoded(head.data, leaf)))

    def _in_told(self, told: Told, needles: Needles, patterns: Patterns) -> Iterator[Finding]:
        for name, document in told:
            kinds = kinds_in_document(document, patterns, needles.uids, self.profile, self.ours)
            yield from (Finding(name, kind) for kind in kinds)


def _in_pixels(engine: TextFinder, file: BinaryIO) -> list[Finding]:
    """The frames that still have text; or that there are pixels which the engine can't read."""
    try:
        frames = {frame for frame, _ in engine.text_boxes(file)}
    except (Broken, Unreadable, Withheld):
        return [Finding("(7fe0,0010)", "unreadable")]
    return [Finding(f"(7fe0,0010) frame {frame + 1}", TEXT_IN_PIXELS) for frame in sorted(frames)]


def _in_rest(head: Head, file: BinaryIO, patterns: Patterns) -> Iterator[Finding]:
    """The bytes from the pixels on."""
    rest = BytesIO(head.data) if head.inflated else file
    yield from (Finding(f"byte {at}", kind) for at, kind in in_rest(head.rest, rest, patterns))
