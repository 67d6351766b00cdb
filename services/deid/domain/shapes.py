"""What identifies by its shape, whoever it is: dates, numbers of people, addresses, titles with the names after them.

The eighteen kinds of 45 CFR 164.514(b)(2)(i) as they are written in several languages. Every pattern has bounded
repetition, so a text of any content costs time in proportion to its length.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

from services.deid.domain.folding import fold
from services.deid.domain.words import allowed_words

Span = tuple[int, int]

_SAFE_SEPARATOR = r"\s{0,2}[-/.\u2013]\s{0,2}"
_TIME = (
    r"(?:[\sT,@]{1,3}(?:at|um|à|a las|alle|om)?\s{0,2}\d{1,2}[:.h]\d{2}(?:[:.]\d{2}(?:\.\d{1,6})?)?"
    r"\s?(?:am|pm|uhr|h)?(?![^\W_]))?"
)
_NUMERIC = rf"""
    (?<![\d.])(?:
      \d{{4}}{_SAFE_SEPARATOR}\d{{1,2}}{_SAFE_SEPARATOR}\d{{1,2}}
    | \d{{1,2}}{_SAFE_SEPARATOR}\d{{1,2}}{_SAFE_SEPARATOR}(?:\d{{4}}|['\u2019]?\d{{2}})
    | (?:0?[1-9]|[12]\d|3[01])\s(?:0?[1-9]|[12]\d|3[01])\s(?:19|20)\d\d
    | (?:19|20)\d\d\s(?:0[1-9]|1[0-2])\s(?:0[1-9]|[12]\d|3[01])
    | (?:19|20)\d\d[-/.](?:0?[1-9]|1[0-2])
    | (?:0?[1-9]|1[0-2])[-/.](?:19|20)\d\d
    | \d{{1,2}}{_SAFE_SEPARATOR}(?:i{{1,3}}|i?[vx]|vi{{1,3}}|xi{{1,2}}){_SAFE_SEPARATOR}(?:\d{{4}}|\d{{2}})
    | (?<![^\W_])[mtshr]\d{{1,2}}\.\d{{1,2}}\.\d{{1,2}}(?!\.)
    | (?:0[1-9]|[12]\d|3[01])/(?:0[1-9]|[12]\d|3[01])
    | (?:0?[1-9]|[12]\d|3[01])\.\s?(?:0?[1-9]|1[0-2])\.(?=\s|$)
    | (?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{{2,6}})?
    | \d{{1,4}}\s?[年년]\s?\d{{1,2}}\s?[月월](?:\s?\d{{1,2}}\s?[日일]?)? | \d{{1,2}}\s?[月월]\s?\d{{1,2}}\s?[日일]
    )(?!\d){_TIME}"""

#: What precedes a number of a person, a case or a place, whatever its length.
_KEYED = r"""
    (?<![^\W_])(?:mrn|mpi|ssn|nhs|nhi|pid|nir|dni|nif|bsn|ahv|pesel|cpf|iban|npi|dea|acc|accession|id|ident|pat|patid|
    case|fall|fallnr|fallnummer|no|nr|num|nummer|number|numero|num[ée]ro|n[°º]|rec|record|visit|encounter|order|req|
    request|chart|room|zimmer|bed|passport|insurance|licen[cs]e|plate|policy|member|account|acct|serial|study|exam|
    tel|telefon|telephone|t[ée]l[ée]phone|fon|phone|fax|pager|beeper|mobile|handy|cell|call|ext|extension|zip|plz|box)
    (?:\s{0,2}(?:id|no|nr|number|num|nummer))?[\s.:\#=°º]{0,4}
    (?=[a-z]{0,5}[-/]?\d)[a-z]{0,5}[-/]?\d(?:[\w/-]|[ .](?=\d)){2,24}"""

#: A number with a letter at either end, in pairs: of the National Insurance in the United Kingdom.
_INSURED = r"(?<![^\W_])[A-Z]{2}\s?\d\d\s?\d\d\s?\d\d\s?[A-D](?![^\W_])"

_ADDRESS = r"""
    (?<![^\W_])\d{1,6}[a-z]?,?\s{1,2}(?:[^\W\d_][\w'\u2019.-]{0,30}\s{1,2}){1,4}?
      (?:street|st\.|avenue|ave|road|rd|lane|ln|drive|boulevard|blvd|court|terrace|highway|hwy|parkway|pkwy|crescent|
      square|close|way)(?![^\W_])(?:,?\s{1,2}(?:apt|suite|unit|flat)\.?\s?\#?\w{1,6})?
    | (?<![^\W_])[^\W\d_]{1,30}[- ]?(?:stra(?:ss|ß)e|str\.|gasse|allee|platz|weg|straat|laan|gracht|plein)
      \s{0,2}\d{1,4}\s?[a-z]?(?![^\W_])
    | (?<![^\W_])\d{1,4},?\s{1,2}(?:bis\s|ter\s)?(?:rue|avenue|av\.|boulevard|bd|all[ée]e|chemin|impasse|quai)
      (?:\s{1,2}[\w'\u2019.-]{1,30}){1,5}
    | (?<![^\W_])(?:calle|avenida|avda|carrer|rua|piazza|viale|via|corso|plaza|paseo)\.?
      (?:\s{1,2}[\w'\u2019.-]{1,30}){1,5}?,?\s{1,2}(?:n[°º.]?\s?)?\d{1,4}(?![^\W_])
    | (?<![^\W_])p\.?\s?o\.?\s?box\s{1,2}\d{1,8}"""

_NETWORK = r"""
    [^\s@<>()]{1,64}@[^\s@<>()]{0,255}
    | (?:https?|ftp|file|mailto|tel|sip):[^\s]{1,500} | (?<![^\W_])www\.[^\s]{1,300}
    | (?<![^\W_])(?:[0-9a-f]{1,4}[:-]){5,7}[0-9a-f]{1,4}(?![^\W_])
    | (?<![^\W_])\d{1,40}(?:\.\d{1,40}){3,30}(?!\d)"""

#: A word that is spelled out.
_SPELLED = r"(?<![^\W_])(?:[^\W\d_][ .-]){3,40}[^\W\d_](?![^\W_])"
#: Names before what follows them.
_SUFFIX = (
    r"(?<![^\W_])(?:[^\W\d_]{1,40}[ ,.]{1,2}){1,3}(?:M\.?D\.?|Ph\.?D\.?|RN|FRCR|FACR|FRANZCR|MBBS|RT\(R\)|Jr\.?|Sr\.)"
    r"(?![^\W_])"
)
#: Two letters with stops, or with a stop and in capitals, are initials.
_INITIALS = r"(?<![^\W_.])(?:[A-Z]\.\s?){2,4}(?![^\W_])|(?<![^\W_.])[A-Z]\.-[A-Z]\."

_AGE = r"""
    (?<![^\W_])\d{2,3}[\s-]{0,2}(?:years?|yrs?|y\.?\s?o\.?|y/o|y|jahren?|jährige?[rn]?|j\.|ans|años|anos|anni|jaar|år
      |årig\w?|vuotia?s|yaş\w{0,6}|лет|летн\w{1,4}|ετών)(?![^\W_])(?:[\s-]{0,2}(?:old|alte?[rn]?|oude?))?
    | (?<![^\W_])\d{2,3}\s?[\u6b73\u6b72\u5c81\u624d\uc138\uc0b4]
    | (?<![^\W_])(?:aged?|alter|edad|[aâ]ge|et[aà]|leeftijd)[\s:=of]{1,5}\d{2,3}(?![^\W_])"""
#: Ages above 89 are one class (45 CFR 164.514(b)(2)(i)(C)).
_OLD = 90
#: The same beside the sex, as free text has it: 92F, M/92, female, 92; but no weight or size.
_OLD_ONE = r"""
    (?<![^\W_])(?:9\d|1[012]\d)(?:/?(?-i:[MF])|\s(?:(?:fe)?male|(?:wo)?man))(?![^\W_])
    | (?<![^\W_])(?:(?-i:[MF])/|(?:fe)?male,?\s|(?:wo)?man,?\s)(?:9\d|1[012]\d)
      (?![^\W_]|[.,]\d|\s?(?:kg|lbs?|cm|mm|%))"""

_PHONE = re.compile(r"(?<![^\W_])[+(]?\d[\d\s().\u2013/-]{5,20}\d(?!\d)")
#: Lines in pairs of digits, as in France: with the zero or the country before them.
_PAIRS = re.compile(r"(?<!\d)(?:\+\d\d\s?|0)\d(?:[ .-]\d\d){4}(?!\d)")
_LETTERS = re.compile(r"[^\W\d_]+")
_WORDS_TOO = frozenset(("set", "out", "ago", "mag", "gen"))
_DECIMAL = re.compile(r"\d{1,3}\.\d{3,6}")
_DIGIT = re.compile(r"\d")
#: As they stand beside technical terms: a whole date (a version has stops and no zeros), an address of electronic
#: mail, of a line or of a card (IEEE 802), a UID (longer than a version, and none of DICOM's or HL7's own), numbers of
#: people (with their letters, or in the groups of SSN), and a PN.
_STRICT = re.compile(
    r"(?<!\d)(?:(?:18|19|20)\d\d[-/.: ]?(?:0[1-9]|1[0-2])[-/.: ]?(?:0[1-9]|[12]\d|3[01])(?:[T\d]\d{1,11})?(?!\d)"
    r"|(?:0?[1-9]|[12]\d|3[01])[-/.](?:0?[1-9]|[12]\d|3[01])[-/.](?:18|19|20)\d\d(?!\d)"
    r"|(?:0?[1-9]|[12]\d|3[01])[-/](?:0?[1-9]|[12]\d|3[01])[-/]\d\d(?!\d)"
    r"|(?:0[1-9]|[12]\d|3[01])\.(?:0[1-9]|1[0-2])\.\d\d(?![\d.])"
    r"|\d{3}[- ]\d{2}[- ]\d{4}(?!\d)|\(?\d{3}\)?[-. /]{1,2}\d{3}[-. ]\d{4}(?!\d))"
    r"|[^\s@<>()]{1,64}@[^\s@<>()]|(?:mailto|tel|sip):"
    r"|(?<![^\W_])(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}(?![^\W_])"
    r"|(?<![\d.])(?!1\.2\.840\.10008\.|2\.16\.840\.1\.113883\.)[012](?=[\d.]{19})(?:\.\d{1,40}){2,30}"
    r"|(?<![^\W_])(?<!\d\.)(?:[a-z]{1,4}[-#]?|\d)\d{6,}|[^\W\d_]{2}\^[^\W\d_]{3}",
    re.IGNORECASE,
)
_STOPS = re.compile(r"\d\.\d")
_LONG_GROUP = re.compile(r"\d{3}")

_TITLE = re.compile(
    r"(?<![^\W_])(?:(?:Dr|Mr|Mrs|Ms|Sr|Sra|Dra|St|Don|Do[ñn]a|Sig|Rev|Hr|Fr|M)\.|(?:Dr|Mr|Mrs|Ms|Sra|Dra|Don|Do[ñn]a"
    r"|Sir|Lady)(?=[\s_])|(?:DR|MR|MRS|MS|SR|SRA|DRA|M|dr|mr|mrs)\.|(?:dr|mrs)(?=\s)|(?i:prof|professor|mister|miss|frau"
    r"|herrn?|mme|mlle|monsieur|madame|mademoiselle|se[ñn]ora?|srta|dott|dottore|dottoressa|signora?|dhr|mevr|mevrouw"
    r"|nurse|sister|schwester|pfleger|docteur|doctor|doktor|physician|dictated by|signed by|n[ée]e|geb\.|geborene?"
    r"|nata|nacida)(?![^\W_]))"
)
#: What a name follows when it is capitalised.
_CUE = re.compile(
    r"(?<![^\W_])(?i:(?:signed|dictated|transcribed|verified|approved|read|reported|referred|requested|ordered"
    r"|performed|interpreted|reviewed|seen|brought|called|phoned|accompanied) by|durch|refd?\.? ?:|ref\.? by"
    r"|(?:tech|attending|radiologist|technologist|operator|physician|consultant|name|patient|pat|pt|initials|nurse"
    r"|mother|father|wife|husband|son|daughter|sister|brother|contact|arzt|befunder|nom|nombre|cognome|naam) ?[:=])"
)
_AFTER_TITLE = re.compile(r"[\s.,:_]{0,3}([^\W\d_][^\W\d_'\u2019-]{0,40}(?:['\u2019-][^\W\d_]{1,40}){0,3})")
_MOST_NAMES = 6
#: MR is a modality, too, and a physician may be one of a group.
_TITLES_ALONE = frozenset(("Dr.", "Mr.", "Mrs.", "Ms.", "Frau", "Herr", "Hr."))


class _Shape(NamedTuple):
    """A pattern, what makes a place where it is found count, and what a text must have for it to be looked for."""

    pattern: re.Pattern[str]
    counts: Callable[[re.Match[str]], bool]
    needs: Callable[[str], bool]


def _always(found: re.Match[str]) -> bool:
    return True


def _has_digits(text: str) -> bool:
    return _DIGIT.search(text) is not None


def _has_month(text: str) -> bool:
    return _has_digits(text) and not _months().isdisjoint(_LETTERS.findall(fold(text)))


def _has_address(text: str) -> bool:
    return "@" in text or ":" in text or "." in text or _has_digits(text)


def _has_stop(text: str) -> bool:
    return "." in text or " " in text or "-" in text


@cache
def _months() -> frozenset[str]:
    return frozenset(name for names in allowed_words().months for name in names)


@cache
def _shapes() -> tuple[_Shape, ...]:
    flags = re.IGNORECASE | re.VERBOSE
    return (
        _Shape(re.compile(_NETWORK, flags), _always, _has_address),
        _Shape(re.compile(_NUMERIC, flags), _always, _has_digits),
        _Shape(re.compile(_with_months(), flags), _is_month, _has_month),
        _Shape(re.compile(_KEYED, flags), _always, _has_digits),
        _Shape(re.compile(_ADDRESS, flags), _always, _has_digits),
        _Shape(_PHONE, _is_phone, _has_digits),
        _Shape(re.compile(_AGE, flags), _is_old, _has_digits),
        _Shape(re.compile(_OLD_ONE, flags), _always, _has_digits),
        _Shape(re.compile(f"{_INITIALS}|{_SPELLED}|{_SUFFIX}|{_INSURED}"), _always, _has_stop),
    )


def month_pattern(names: tuple[str, ...]) -> str:
    """A month as it is written, whole or shortened, with or without its accents."""
    return r"(?:" + "|".join(sorted(map(_accented, names), key=len, reverse=True)) + r")\.?"


def _accented(name: str) -> str:
    return name.replace("a", "[aä]").replace("e", "[eé]").replace("u", "[uû]").replace("c", "[cç]")


def _with_months() -> str:
    month = month_pattern(tuple(name for names in allowed_words().months for name in names))
    day = r"\d{1,2}(?:st|nd|rd|th|\.|er|[ºª])?"
    between, year = r"[\s.,/-]{0,3}(?:of|de|di)?[\s.,/-]{0,2}", r"(?:'?\d{4}|'?\d{2})"
    return rf"""
        (?<![^\W_])(?:
          {day}{between}{month}(?:{between}{year})?
        | {month}[\s.,/-]{{0,3}}{day}(?:[\s.,/-]{{1,3}}{year})?
        | {month}{between}(?:\d{{4}}|['\u2019]\d{{2}})
        | \d{{4}}[\s.,/-]{{0,3}}{month}(?:[\s.,/-]{{0,3}}{day})?
        )(?![^\W_]){_TIME}"""


def _is_month(found: re.Match[str]) -> bool:
    """A month that is a common word, too, needs a year: data set 12 is no date."""
    words = set(_LETTERS.findall(found.group()))
    common = "may" in words or not _WORDS_TOO.isdisjoint(map(fold, words))
    return not common or _LONG_GROUP.search(found.group()) is not None


def _is_phone(found: re.Match[str]) -> bool:
    """Seven digits and a group of three at least, or pairs: 0.5 - 1.5 - 2.5 is none."""
    if _DECIMAL.fullmatch(found.group()):
        return False
    grouped = _LONG_GROUP.search(found.group()) or _PAIRS.search(found.group())
    return sum(map(str.isdigit, found.group())) >= 7 and grouped is not None


def _is_old(found: re.Match[str]) -> bool:
    return int("".join(filter(str.isdecimal, found.group()))) >= _OLD


def shapes(text: str) -> Iterator[Span]:
    """Where ``text`` has something that identifies by its shape."""
    for shape in _shapes():
        if shape.needs(text):
            yield from (found.span() for found in shape.pattern.finditer(text) if shape.counts(found))
    for title in _TITLE.finditer(text):
        yield title.start(), _end_of_name(text, title.end())
    for cue in _CUE.finditer(text):
        name = _AFTER_TITLE.match(text, cue.end())
        if name and name.group(1)[0].isupper() and "." not in text[cue.end() : name.start(1)]:
            yield cue.end(), _end_of_name(text, cue.end())


def looks_identifying(text: str) -> bool:
    """Whether a short technical text, such as Stack ID, Software Versions or Code Value, has the shape of a date, of
    an address, of a number of a person or of a name.

    It lets versions, parameters and names of techniques pass, which free text would lose. Codes of published schemes
    are numbers like those of people (SNOMED CT: 71341001): tell those by their scheme first.
    """
    if _STRICT.search(text) or any(_is_named(text, title) for title in _TITLE.finditer(text)):
        return True
    return any(shape.needs(text) and any(map(shape.counts, shape.pattern.finditer(text))) for shape in _strict_shapes())


@cache
def _strict_shapes() -> tuple[_Shape, ...]:
    flags = re.IGNORECASE | re.VERBOSE
    return (
        _Shape(re.compile(_with_months(), flags), _is_month, _has_month),
        _Shape(re.compile(_KEYED, flags), _is_long, _has_digits),
        _Shape(re.compile(_ADDRESS, flags), _always, _has_digits),
        _Shape(_PHONE, _is_line, _has_digits),
        _Shape(re.compile(_AGE, flags), _is_old, _has_digits),
        _Shape(re.compile(_SUFFIX), _always, _has_stop),
    )


def _is_long(found: re.Match[str]) -> bool:
    """Four digits and more: three are the number of a device."""
    return sum(map(str.isdigit, found.group())) > 3


def _is_line(found: re.Match[str]) -> bool:
    """A phone number without stops, which are those of versions."""
    return _is_phone(found) and _STOPS.search(found.group()) is None


def _is_named(text: str, title: re.Match[str]) -> bool:
    """Whether a capitalised word follows the title, a word of things only where the title is nothing else."""
    name = _AFTER_TITLE.match(text, title.end())
    word = name.group(1) if name else ""
    is_name = title.group() in _TITLES_ALONE or fold(word) not in allowed_words().content
    return len(word) > 1 and word[0].isupper() and is_name


def _end_of_name(text: str, end: int) -> int:
    """Behind the name at ``end``: the next word, and more while they look like parts of a name."""
    before = ""
    for _ in range(_MOST_NAMES):
        name = _AFTER_TITLE.match(text, end)
        if name is None or (before and not _goes_on(before, text[end : name.start(1)], name.group(1))):
            break
        end, before = name.end(), name.group(1)
    return end


def _goes_on(before: str, separator: str, word: str) -> bool:
    """True for another part of a name, capitalised or a particle; but a stop ends it, except behind an initial."""
    small = allowed_words().particles | allowed_words().titles
    linked = len(before) == 1 or before.lower() in small
    if not linked and any(each in separator for each in ".,:"):
        return False
    return linked or word.lower() in small or len(word) == 1 or (word[:1].isupper() and word[1:].islower())
