"""What of an original must not be in what goes out, each with the kind of thing it is, decoded and in lower case."""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

from services.deid.domain.dictionary import is_registered, known_vr
from services.deid.domain.looking.reader import Head, Leaf
from services.deid.domain.looking.text import decode, decoded
from services.deid.domain.names import Names
from services.deid.domain.options import Option
from services.deid.domain.profile import Dates, Profile, Wish
from services.deid.domain.rules import Rules
from services.deid.domain.words import allowed_words

#: Shorter strings prove nothing: they occur in technical values by chance.
SHORTEST = 4
#: What is no identifier by its attribute has to be this long, and to hold a digit or several words.
_TELLING = 6
_NAMES = re.compile(r"[\\^=,;/()\[\]<>\s\0]+")
#: Parts of double names: hyphens, apostrophes, stops, the dot of Katakana.
_DOUBLE = re.compile(r"[-\u2010-\u2015'\u2018\u2019\u02bb\u02bc`\u00b4._\u00b7\u30fb]+")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "æ": "ae", "ñ": "ny"})
_MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
_PHONE = re.compile(r"\+?\(?\d[\d ()./-]{6,}\d")
#: A decimal below one, such as an error or a ratio, has the signs of a telephone number.
_FRACTION = re.compile(r"0\.\d+")
_DIGITS = re.compile(r"(?<![\d.])\d{6,}(?![\d.])")
_DATE = re.compile(r"(?:18|19|20)\d{6}")
_TEMPORAL = frozenset(("DA", "DT"))
#: It goes whatever becomes of the dates of the study.
_BIRTH_DATE = 0x00100030
_TEXT = frozenset(("AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "UN"))
#: What an earlier de-identification left is no identifier; 1900 is the dummy's year.
_DUMMIES = frozenset(("removed", "anonymous", "19000101", "urn:removed"))


@dataclass(frozen=True)
class Needles:
    """By kind: what is searched for; ``dates`` are eight digits each, ``uids`` whole UIDs.

    ``shared`` are dates of birth that are not searched for: the dates of the study stay, and they are among those.
    """

    texts: dict[str, str]
    uids: frozenset[str]
    dates: frozenset[str]
    shared: frozenset[str] = frozenset()


@cache
def _columns() -> dict[int, tuple[str, dict[str, str]]]:
    """VR and options of each row of Table E.1-1."""
    table = files("services.deid.domain") / "tables" / "basic_profile.json"
    rows = json.loads(table.read_text("utf-8"))["rows"]
    return {int(row["tag"], 16): (row["vr"], row["options"]) for row in rows if "x" not in row["tag"]}


def is_kept(tag: int, profile: Profile) -> bool:
    """Whether a chosen option keeps the attribute as it is (code K of Table E.1-1), or a rule of the site does.

    Where dates are modified none is kept, whatever else is chosen.
    """
    if tag in profile.attributes:
        return profile.attributes[tag].wish is Wish.KEEP
    row = _columns().get(tag)
    if row is None or (row[0] in _TEMPORAL and profile.has(Option.MODIFIED_DATES)):
        return False
    return any(code == "K" and profile.has(Option(name)) for name, code in row[1].items())


def _is_cleaned(tag: int, profile: Profile) -> bool:
    """Whether a chosen option has the attribute cleaned (code C of Table E.1-1), or a rule of the site does: then its
    harmless words stay by intention."""
    if tag in profile.attributes:
        return profile.attributes[tag].wish is Wish.CLEAN
    row = _columns().get(tag)
    return row is not None and any(code == "C" and profile.has(Option(name)) for name, code in row[1].items())


def needles_of(head: Head, rules: Rules, profile: Profile) -> Needles:
    """What the original's own header gives to search for."""
    texts: dict[str, str] = {}
    uids: set[str] = set()
    dates: set[str] = set()
    dates_stay = profile.has(Option.FULL_DATES) and not profile.has(Option.MODIFIED_DATES)
    stay: set[str] = set()
    for leaf in head.leaves:
        if dates_stay and leaf.vr in _TEMPORAL and leaf.tag != _BIRTH_DATE:
            stay.update(_dates(leaf, head, rules))
        if is_kept(leaf.tag, profile) or leaf.tag in rules.class_uids or leaf.tag >> 16 == 2:
            continue
        vr = known_vr(leaf.tag) or leaf.vr if leaf.vr == "UN" else leaf.vr
        if vr == "UI" and not profile.has(Option.RETAIN_UIDS):
            uids.update(_uids(head.data[leaf.start : leaf.stop]))
        elif vr in _TEMPORAL and (leaf.tag == _BIRTH_DATE or not dates_stay):
            dates.update(_dates(leaf, head, rules))
        elif vr in _TEXT and not (leaf.tag >> 16 & 1 and profile.has(Option.SAFE_PRIVATE) and vr != "PN"):
            for kind, text in _texts(leaf._replace(vr=vr), decoded(head.data, leaf), rules, profile):
                texts.setdefault(text, kind)
    shared = dates & stay  # a newborn's date of birth is that of the study
    dates -= shared
    if profile.dates is Dates.YEARS:
        dates = {date for date in dates if not date.endswith("0101")}
    texts = {text: kind for text, kind in texts.items() if _tells(text, rules.common_words)}
    return Needles(texts, frozenset(uids), frozenset(dates), frozenset(shared))


@lru_cache(maxsize=8)
def texts_of_study(study: Names, common_words: frozenset[str]) -> dict[str, str]:
    """What headers of the study name, by kind. That it is named the cleaner says; what it reads is read here anew."""
    texts: dict[str, str] = {}
    for noted in sorted(each for each in study.noted if not each.place):
        value = decode(noted.value, noted.charsets)
        if noted.vr == "PN":
            texts.update((spelled, "name") for part in _NAMES.split(value) for spelled in _spelled(part))
        else:
            texts.update((part, "identifier") for part in _whole(value))
    return {text: kind for text, kind in texts.items() if _tells(text, common_words)}


def _uids(value: bytes) -> Iterator[str]:
    for uid in value.decode("latin-1").strip(" \0").split("\\"):
        if uid.count(".") >= 2 and not is_registered(uid) and not uid.startswith("1.2.840.10008."):
            yield uid


def _dates(leaf: Leaf, head: Head, rules: Rules) -> Iterator[str]:
    if leaf.tag not in rules.safe_dates:
        for value in head.data[leaf.start : leaf.stop].decode("latin-1").split("\\"):
            if (date := value.strip(" \0").replace(".", "")[:8]) not in _DUMMIES and _DATE.fullmatch(date):
                yield date


def _texts(leaf: Leaf, value: str, rules: Rules, profile: Profile) -> Iterator[tuple[str, str]]:
    """Names in parts, identifiers whole, of other text what is a number or an address."""
    if leaf.vr == "PN":
        yield from (("name", spelled) for part in _NAMES.split(value) for spelled in _spelled(part))
        return
    if leaf.tag in rules.identifying:
        yield from (("identifier", part) for part in _whole(value))
        return
    row = _columns().get(leaf.tag)
    if row is None and leaf.tag in rules.safe_text:
        return
    if row is not None and "clean_descriptors" not in row[1] and not _is_cleaned(leaf.tag, profile):
        yield from (("value", part) for part in _whole(value) if _is_telling(part))
    yield from _patterns(value)


def _spelled(part: str) -> Iterator[str]:
    """A part of a name, the parts of a double one and both together, each also as it is without umlauts and marks."""
    titles = allowed_words().titles
    every = dict.fromkeys((part, *_DOUBLE.split(part), _DOUBLE.sub("", part)))
    for name in (each for each in every if each not in titles):
        yield name
        if not name.isascii():
            yield _without_marks(name)
            yield _without_marks(name.translate(_UMLAUTS))


def _without_marks(text: str) -> str:
    parts = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(each for each in parts if not "\u0300" <= each <= "\u036f"))


def _whole(value: str) -> Iterable[str]:
    return (part.strip() for part in value.split("\\"))


def _is_telling(text: str) -> bool:
    several = len(text.split()) > 1 and len(text) >= 2 * _TELLING
    return len(text) >= _TELLING and (several or any(each.isdigit() for each in text))


def _patterns(value: str) -> Iterator[tuple[str, str]]:
    yield from (("mail", found) for found in _MAIL.findall(value))
    yield from (("phone", found.strip()) for found in _PHONE.findall(value) if not _FRACTION.fullmatch(found))
    yield from (("digits", found) for found in _DIGITS.findall(value))


def _tells(text: str, common_words: frozenset[str]) -> bool:
    """False for short strings, common words, dummies and runs of one character such as 0000."""
    shortest = SHORTEST if text.isascii() else SHORTEST // 2
    return not (
        len(text) < shortest
        or len(set(text)) == 1
        or text in _DUMMIES
        or text in common_words
        or (text.isascii() and not any(each.isalnum() for each in text))
    )
