"""One cleaned file and what is told of it, searched for what its original holds (fails closed: see packing.py)."""

import bisect
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, BinaryIO, NamedTuple, Protocol

from services.deid.domain.looking.needles import Needles, is_kept, needles_of
from services.deid.domain.looking.reader import Broken, Head, Leaf, read_head
from services.deid.domain.looking.text import decoded, spellings
from services.deid.domain.options import Option
from services.deid.domain.profile import Profile
from services.deid.domain.rules import Rules

_CHUNK = 1024 * 1024
#: In pixels shorter strings stand by chance.
_IN_PIXELS = 6
_PRINTABLE = bytes(1 if 0x20 <= each < 0x7F else 0 for each in range(256))
_RUN = b"\1" * _IN_PIXELS
_NUMBERS = frozenset(("DS", "IS"))
_TEXT = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "UN"))
_TEMPORAL = frozenset(("DA", "DT"))
_SEPARATORS = re.compile(r"[\W_]+")
_UID = re.compile(r"(?<![\d.])[012](?:\.\d+){2,}")
_UID_BYTES = re.compile(rb"(?<![\d.])[012](?:\.\d+){2,}")
#: The digits of long UIDs are no number of anybody's.
_LONG_UID = re.compile(r"(?<![\d.])[012](?=[\d.]{19})(?:\.\d+){2,}")
#: What says how the object was de-identified is ours, and the same for every original (PS3.15 section E.1.1).
_STATEMENT = ("(0012,0063)", "(0012,0064)")
_STATEMENT_KEYS = frozenset(("00120063", "00120064"))
_TAG = re.compile("[0-9A-Fa-f]{8}")
_EIGHT = re.compile(r"(?<!\d)\d{8}(?!\d)")
_MOST_FINDINGS = 100


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


class Look(NamedTuple):
    """What a look needs to know: the rules' lists, what the profile lets stay, and who reads pixels, if anybody."""

    rules: Rules
    profile: Profile
    pixels: TextFinder | None = None

    def at(self, original: BinaryIO, cleaned: BinaryIO, told: Iterable[tuple[str, bytes]] = ()) -> tuple[Finding, ...]:
        """What of ``original`` is still in ``cleaned``, or in what is ``told`` of it: (name, JSON document or text).

        Both are Part 10 files. Finds something, too, where either can't be read.
        """
        try:
            before = read_head(original)
            after = read_head(cleaned)
        except Broken:
            return (Finding("file", "unreadable"),)
        needles = needles_of(before, self.rules, self.profile)
        patterns = _patterns(tuple(needles.texts.items()), needles.dates)
        found = [
            *_in_leaves(before, after, needles, patterns, self),
            *_in_bytes(after, cleaned, needles, patterns, self.profile),
            *(
                Finding(name, kind)
                for name, document in told
                for kind in _in_document(document, needles, patterns, self.profile)
            ),
        ]
        if self.pixels is not None and self.profile.has(Option.CLEAN_PIXEL_DATA):
            frames = Counter(frame for frame, _ in self.pixels.text_boxes(cleaned))
            found += [Finding(f"(7fe0,0010) frame {frame + 1}", "text-in-pixels") for frame in sorted(frames)]
        return tuple(dict.fromkeys(found))[:_MOST_FINDINGS]


class _Patterns:
    """Needles (but UIDs) made ready to be searched in text, in bytes and in pixels."""

    def __init__(self, texts: dict[str, str], dates: frozenset[str]) -> None:
        self.kinds = texts
        squeezed = {_squeezed(text): kind for text, kind in texts.items() if len(_squeezed(text)) >= _IN_PIXELS}
        self.squeezed = {text: kind for text, kind in squeezed.items() if not text.isalpha()}
        self.text = _compiled(texts)
        spelled = {each: kind for text, kind in texts.items() for each in spellings(text)}
        spelled |= {date.encode(): "date" for date in dates}
        self.spelled = spelled
        self.bytes = _compiled_bytes(spelled)
        self.long = [each for each in spelled if len(each) >= _IN_PIXELS and each.isascii() and b"\0" not in each]


@lru_cache(maxsize=8)
def _patterns(texts: tuple[tuple[str, str], ...], dates: frozenset[str]) -> _Patterns:
    """The instances of a study mostly have the same needles: what is made of them is kept for the next."""
    return _Patterns(dict(texts), dates)


def _in_leaves(before: Head, after: Head, needles: Needles, patterns: _Patterns, look: Look) -> Iterator[Finding]:
    """Values as they read: decoded, with their separators left out, UIDs whole, dates where they were."""
    was = {leaf.path: leaf for leaf in before.leaves if leaf.vr in _TEMPORAL}
    for leaf in after.leaves:
        if leaf.tag >> 16 == 2 or _is_meant(leaf, look.profile):
            continue
        if leaf.vr == "UI":
            uids = after.data[leaf.start : leaf.stop].decode("latin-1").strip(" \0").split("\\")
            if not needles.uids.isdisjoint(uids):
                yield Finding(leaf.path, "uid")
        elif leaf.vr in _TEMPORAL:
            if _same_date(leaf, after, was.get(leaf.path), before, needles):
                yield Finding(leaf.path, "date")
        elif leaf.vr in _TEXT:
            yield from (Finding(leaf.path, kind) for kind in _in_text(decoded(after.data, leaf), needles, patterns))


def _is_meant(leaf: Leaf, profile: Profile) -> bool:
    """Whether what stands there stands there by intention: the profile keeps it, or it is our own statement."""
    return is_kept(leaf.tag, profile) or leaf.path.startswith(_STATEMENT)


def _same_date(leaf: Leaf, after: Head, was: Leaf | None, before: Head, needles: Needles) -> bool:
    """Whether a date is an original's: as it was in its place, or one of the study's where there was none."""
    new = set(_EIGHT.findall(after.data[leaf.start : leaf.stop].decode("latin-1")[:8]))
    old = set(_EIGHT.findall(before.data[was.start : was.stop].decode("latin-1")[:8])) if was else needles.dates
    return bool(new & old & needles.dates)


def _in_text(text: str, needles: Needles, patterns: _Patterns) -> Iterator[str]:
    """The kinds of what stands in a decoded text."""
    if not text:
        return
    for found in _UID.findall(text):
        if found in needles.uids:
            yield "uid"
    plain = _LONG_UID.sub(" ", text)
    if patterns.text:
        yield from (patterns.kinds[found] for found in patterns.text.findall(plain))
    squeezed = _squeezed(plain)
    yield from (
        kind for needle, kind in patterns.squeezed.items() if needle in squeezed and not _in_number(needle, squeezed)
    )
    if needles.dates.intersection(_EIGHT.findall(plain)) or needles.dates.intersection(
        _EIGHT.findall(plain.replace("-", ""))
    ):
        yield "date"


def _in_number(needle: str, text: str) -> bool:
    """Whether a needle of digits is everywhere part of a longer number."""
    return needle.isdigit() and not re.search(rf"(?<!\d){needle}(?!\d)", text)


def _in_bytes(head: Head, file: BinaryIO, needles: Needles, patterns: _Patterns, profile: Profile) -> Iterator[Finding]:
    """The bytes as they lie: of the head with the leaf that they are in, then those of the pixels and what follows."""
    lower = head.data[: head.rest if head.rest <= len(head.data) else len(head.data)].lower()
    starts = [leaf.start for leaf in head.leaves]
    skipped = {"UI", "DA", "DT", *_NUMBERS}
    for at, kind in _hits(lower, needles, patterns):
        leaf = head.leaves[index] if (index := bisect.bisect_right(starts, at) - 1) >= 0 else None
        inside = leaf is not None and leaf.start <= at < leaf.stop
        if inside and leaf is not None and (leaf.vr in skipped or _is_meant(leaf, profile)):
            continue  # numbers are no text; UIDs and dates were looked at as such
        yield Finding(leaf.path if inside and leaf else f"byte {at}", kind)
    if patterns.long:
        yield from _in_rest(head.rest, file, patterns)


def _hits(lower: bytes, needles: Needles, patterns: _Patterns) -> Iterator[tuple[int, str]]:
    if patterns.bytes:
        for match in patterns.bytes.finditer(lower):
            yield match.start(), patterns.spelled[match.group()]
    for match in _UID_BYTES.finditer(lower) if needles.uids else ():
        if match.group().decode() in needles.uids:
            yield match.start(), "uid"


def _in_rest(start: int, file: BinaryIO, patterns: _Patterns) -> Iterator[Finding]:
    """Of the pixels only stretches with a run of letters are searched: twelve-bit images have none."""
    overlap = max(map(len, patterns.long)) - 1
    file.seek(start)
    at, before = start, b""
    while chunk := file.read(_CHUNK):
        window = before + chunk
        if _RUN in window.translate(_PRINTABLE):
            lower = window.lower()
            for needle in patterns.long:
                if (found := lower.find(needle)) >= 0 and _stands_alone(lower, found, len(needle)):
                    yield Finding(f"byte {at - len(before) + found}", patterns.spelled[needle])
        at += len(chunk)
        before = window[len(window) - overlap :] if overlap else b""


def _stands_alone(text: bytes, at: int, length: int) -> bool:
    """Whether digits there are a number of their own."""
    if not text[at : at + length].isdigit():
        return True
    around = text[max(at - 1, 0) : at] + text[at + length : at + length + 1]
    return not any(each in b"0123456789." for each in around)


def _in_document(document: bytes, needles: Needles, patterns: _Patterns, profile: Profile) -> Iterator[str]:
    """A JSON document's strings (keys are tags and names of ours), or any other text as it is."""
    try:
        texts = _strings(json.loads(document), profile)
    except ValueError:
        texts = iter([document.decode("utf-8", "replace")])
    for text in texts:
        if not _is_digest(text):
            yield from _in_text(text.casefold(), needles, patterns)


def _strings(value: Any, profile: Profile) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, each in value.items():
            if name not in _STATEMENT_KEYS and not (_TAG.fullmatch(name) and is_kept(int(name, 16), profile)):
                yield from _strings(each, profile)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each, profile)


def _is_digest(text: str) -> bool:
    return len(text) == 64 and re.fullmatch("[0-9a-f]{64}", text) is not None


def _compiled(texts: Iterable[str]) -> re.Pattern[str] | None:
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("|".join(map(_expression, longest_first))) if longest_first else None


def _expression(text: str) -> str:
    """Numbers not within longer ones, short words not within longer ones."""
    escaped = re.escape(text)
    if text.isdigit():
        return rf"(?<![\w.]){escaped}(?![\w.])" if len(text) < 8 else rf"(?<!\d){escaped}(?!\d)"
    return rf"(?<![^\W\d_]){escaped}(?![^\W\d_])" if text.isalpha() and len(text) <= 5 else escaped


def _compiled_bytes(spelled: Iterable[bytes]) -> re.Pattern[bytes] | None:
    longest_first = sorted((each for each in spelled if len(each) >= 4), key=len, reverse=True)
    return re.compile(b"|".join(map(_bytes_expression, longest_first))) if longest_first else None


def _bytes_expression(spelling: bytes) -> bytes:
    escaped = re.escape(spelling)
    if spelling.isdigit():
        bounds = (rb"(?<![\w.])", rb"(?![\w.])") if len(spelling) < 8 else (rb"(?<!\d)", rb"(?!\d)")
        return bounds[0] + escaped + bounds[1]
    if spelling.isalpha() and len(spelling) <= 5:
        return rb"(?<![a-z])" + escaped + rb"(?![a-z])"
    return escaped


def _squeezed(text: str) -> str:
    """Letters and digits alone: 12-345/67 is the same number as 1234567."""
    return _SEPARATORS.sub("", text)
