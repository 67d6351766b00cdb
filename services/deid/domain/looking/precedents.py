"""The quick way to see that there is nothing: what a file has in common with one before it was looked at there.

It may say that it does not know, and then everything is looked at. It never finds anything itself, so what is said of
findings is always said by the same code.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from services.deid.domain.looking.documents import kinds_in_document, kinds_in_string
from services.deid.domain.looking.leaves import TEMPORAL, TEXT, dates_at, kinds_in
from services.deid.domain.looking.lines import Line, Said, line_of
from services.deid.domain.looking.needles import Needles, is_kept, needles_of
from services.deid.domain.looking.outline import Known, Outline, outline_of
from services.deid.domain.looking.pixels import in_rest
from services.deid.domain.looking.reader import FIRST, META, Head, Leaf
from services.deid.domain.looking.search import Patterns
from services.deid.domain.profile import Profile
from services.deid.domain.rules import Rules

#: So many are remembered, the last first; each takes up to six times LONGEST bytes (outline.py).
_MOST = 8
#: Stands between stretches that are searched together.
_BETWEEN = b"\0\xff\0"

Told = tuple[tuple[str, bytes], ...]


class Under(NamedTuple):
    """What decides about values beside the needles: the rules' lists, the profile, and our own texts."""

    rules: Rules
    profile: Profile
    ours: frozenset[str]


class Files(NamedTuple):
    """The beginnings of original and cleaned file, whether each is all of it, what is told, and what headers of the
    study name."""

    before: bytes
    after: bytes
    whole: tuple[bool, bool]
    cleaned: BinaryIO
    told: Told
    named: Mapping[str, str]


class Precedent(NamedTuple):
    """A file in which nothing was found: outlines of its original and of itself, and what was searched for in it.

    ``lines`` are the documents that were told of it; None where one is not to be compared with.
    """

    before: Outline
    after: Outline
    needles: Needles
    patterns: Patterns
    lines: tuple[Line | None, ...]

    def clears(self, files: Files, under: Under) -> bool:
        """True when there is nothing in these files: not in what they have in common with the precedent, which was
        searched for the same texts, dates and most UIDs, nor in the rest."""
        before = self.before.read(files.before, files.whole[0])
        after = self.after.read(files.after, files.whole[1]) if before else None
        if before is None or after is None:
            return False
        own = needles_of(Head(files.before, before.leaves, 0, before.rest, (), META), under.rules, under.profile)
        texts = self.needles.texts.keys()
        if not (own.texts.keys() <= texts and files.named.keys() <= texts):
            return False
        if not own.dates | own.shared <= self.needles.dates:
            return False
        uids = self.needles.uids | own.uids
        fresh = own.uids - self.needles.uids
        return (
            clear_leaves(after.leaves, files.after, self.patterns, uids, under)
            and self._clear_bytes(files.after, after, uids, fresh)
            and self._clear_told(files.told, uids, fresh, under)
            and not any(in_rest(after.rest, files.cleaned, self.patterns))
        )

    def _clear_bytes(self, data: bytes, known: Known, uids: frozenset[str], fresh: frozenset[str]) -> bool:
        """Of what was there before, only what reaches into a gap can be new; a UID that is new may be anywhere."""
        head = data[: known.rest]
        if any(uid.encode("latin-1") in head for uid in fresh):
            return False
        stretches = _around(known.gaps, max(self.patterns.longest, *map(len, uids), 0) + 1)
        near = _BETWEEN.join(head[start:stop] for start, stop in stretches)
        if any(map(near.__contains__, [uid.encode("latin-1") for uid in uids])):
            return False
        lower = near.lower()
        return not any(map(lower.__contains__, self.patterns.spelled)) or not any(self.patterns.in_bytes(lower, uids))

    def _clear_told(self, told: Told, uids: frozenset[str], fresh: frozenset[str], under: Under) -> bool:
        """Of JSON documents that are made like those before what is new; any other as a whole."""
        if len(told) != len(self.lines):
            return False
        for (_, document), line in zip(told, self.lines, strict=True):
            text = _plain(document)
            new = line.news(text) if line and text is not None else None
            if new is None or text is None:
                if any(kinds_in_document(document, self.patterns, uids, under.profile, under.ours)):
                    return False
            elif any(uid in text for uid in fresh) or not _clear_said(new, self.patterns, uids):
                return False
        return True


@dataclass
class Precedents:
    """The last files in which nothing was found."""

    last: tuple[Precedent, ...] = ()

    def clear(self, original: BinaryIO, cleaned: BinaryIO, told: Told, named: Mapping[str, str], under: Under) -> bool:
        """True when there is nothing to be found; False when nobody knows."""
        if not self.last:
            return False
        before, after = (_beginning(file) for file in (original, cleaned))
        files = Files(before, after, (len(before) < FIRST, len(after) < FIRST), cleaned, told, named)
        return any(precedent.clears(files, under) for precedent in self.last)

    def learn(self, before: Head, after: Head, told: Told, needles: Needles, patterns: Patterns, under: Under) -> None:
        """Remember files in which nothing was found, if nothing in them came near it."""
        if needles.shared or not _is_plain(after, needles, patterns, under):
            return
        lines = tuple(line_of(_plain(document) or "") for _, document in told)
        if not all(_clear_said(line.said, patterns, needles.uids) for line in lines if line):
            return
        kept = list(self.last)
        for old in self.last:
            outlines = old.before.grown(before), old.after.grown(after)
            if outlines[0] and outlines[1]:
                if (old.needles.texts.keys(), old.needles.dates) == (needles.texts.keys(), needles.dates):
                    kept.remove(old)
                break
        else:
            outlines = outline_of(before), outline_of(after)
        if outlines[0] and outlines[1]:
            new = Precedent(outlines[0], outlines[1], needles, patterns, lines)
            self.last = (new, *kept)[:_MOST]


def clear_leaves(leaves: Iterable[Leaf], data: bytes, patterns: Patterns, uids: frozenset[str], under: Under) -> bool:
    """True when no value says anything, wherever a date stood before."""
    for leaf in leaves:
        if is_kept(leaf.tag, under.profile):
            continue
        if leaf.vr in TEMPORAL:
            if not patterns.dates.isdisjoint(dates_at(leaf, data)):
                return False
        elif any(kinds_in(leaf, data, patterns, uids, under.ours)):
            return False
    return True


def _clear_said(said: Said, patterns: Patterns, uids: frozenset[str]) -> bool:
    """True when no string and no number says anything, whatever they stand for."""
    if any(patterns.in_numbers("\\".join(said.numbers))):
        return False
    return not any(any(kinds_in_string(string, patterns, uids)) for string in said.strings)


def _is_plain(after: Head, needles: Needles, patterns: Patterns, under: Under) -> bool:
    """True when not even what stands there by intention, or in numbers and UIDs, is like a needle; and no text has
    escapes (ISO 2022), which may split a UID."""
    head = after.data[: after.rest]
    return (
        clear_leaves(after.leaves, after.data, patterns, needles.uids, under)
        and not any(patterns.in_bytes(head.lower(), needles.uids))
        and not any(uid.encode("latin-1") in head for uid in needles.uids)
        and not any(leaf.vr in TEXT and b"\x1b" in head[leaf.start : leaf.stop] for leaf in after.leaves)
    )


def _beginning(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(FIRST)


def _around(gaps: tuple[tuple[int, int], ...], margin: int) -> list[tuple[int, int]]:
    """The gaps with a margin, those that meet as one."""
    found: list[tuple[int, int]] = []
    for start, stop in gaps:
        if found and start - margin <= found[-1][1]:
            found[-1] = found[-1][0], stop + margin
        else:
            found.append((max(0, start - margin), stop + margin))
    return found


def _plain(document: bytes) -> str | None:
    """A document as text; None when JSON might be read as another text than this."""
    try:
        text = document.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text or text.startswith("\ufeff") else text
