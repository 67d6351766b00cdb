"""What stands in the name of a device or of its software and is none of it: people, hosts, streets, folders.

A designation may have any words, so what tells is how they stand, and that nothing is called so (things.py). Every
pattern has bounded repetition.
"""

import re
from ipaddress import ip_address

from services.deid.domain.things import is_thing, things

_NAME = r"[^\W\d_][^\W\d_'\u2019-]{1,40}(?:['\u2019-][^\W\d_]{1,40}){0,3}"
_SURNAME = rf"(?=[A-Z]){_NAME}"
_START, _END = r"(?<![^\W_])", r"(?![^\W_])"
#: A name needs so many letters, since versions have letters too.
_SPELLED, _FAMILY = 4, 3

#: A family name and what follows its comma: Brzezinski, Grzegorz; Brzezinski,G.
_REVERSED = re.compile(rf"\s*({_SURNAME}(?: {_SURNAME})?), ?([A-Z][^\W\d_'\u2019-]{{0,40}})\.?(?: [A-Z]\.?)?\s*")
#: An initial with its stop beside a name.
_INITIAL = re.compile(rf"{_START}(?<!\.)[A-Z]\. ?({_SURNAME}){_END}|{_START}({_SURNAME}) [A-Z]\.(?![\w.])")
#: What a name follows, or stands before.
_CUED = re.compile(
    rf"{_START}(?i:c/o|by|for|from|operator|technician|contact|mtr|mtr?a)[ :]{{1,2}}({_SURNAME}){_END}"
    rf"|{_START}({_SURNAME})[ ,]{{1,2}}\(?(?:MTRA?|MTA|MFA)\)?{_END}"
)
#: A name and a year, of birth or of the examination.
_DATED = re.compile(rf"{_START}({_SURNAME})[_ ,-]{{1,2}}([A-Z][^\W\d_]{{0,40}})[_ ,-]{{1,2}}(?:19|20)\d\d{_END}")
_PATTERNS = (_INITIAL, _CUED, _DATED)
#: A day of birth with a letter and a number behind it.
_BORN = re.compile(rf"{_START}(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d\d[A-Z]\d{{2,4}}[0-9A-Z]?{_END}")

#: Streets with a number, beside those of shapes.py.
_STREET = re.compile(
    rf"{_START}(?:[A-Z][\w'\u2019-]{{1,30}} ){{1,3}}(?:Street|Road|Avenue|Lane|Boulevard) \d{{1,5}}[a-z]?{_END}"
    rf"|{_START}\d{{1,5}}[a-z]? (?:[A-Z][\w'\u2019-]{{1,30}} ){{1,3}}(?:St|Rd|Ave|Blvd)\.?$"
    rf"|{_START}(?:ul|al|pl|os)\. ?[A-Z][\w-]{{2,40}} \d{{1,4}}[a-z]?{_END}",
)
_FOLDER = re.compile(
    r"(?:^|[\s\"'=:/\\])(?:[/\\](?:export[/\\])?home[/\\]|[/\\]Users[/\\]|\\Documents and Settings\\)[^\s/\\]"
    r"|(?<![^\W_])[A-Z]:[/\\]{1,2}(?:Users|home|Documents and Settings)[/\\]{1,2}[^\s/\\]",
    re.IGNORECASE,
)
#: A file that somebody kept.
_FILE = re.compile(
    rf"{_START}([^\W\d_]{{4,40}})[\w-]{{0,40}}\.(?:dcm|ima|img|pdf|docx?|xlsx?|jpe?g|png|avi|zip){_END}", re.IGNORECASE
)

_URL = re.compile(rf"{_START}(?:https?|ftp|sftp|smb|file)://([^\s/\\:?#]{{0,255}})", re.IGNORECASE)
_WWW = re.compile(rf"{_START}(www\.[^\s/]{{1,255}})", re.IGNORECASE)
_LABELS = r"(?:[a-z0-9][a-z0-9-]{0,62}\.)"
#: Of names with two letters at their end those of hosts have three parts or a path: scan.se is an echo.
_COUNTRIES = (
    "at|be|bg|br|ca|ch|cn|cz|de|dk|ee|es|eu|fi|fr|gr|hr|hu|ie|il|in|it|jp|kr|lt|lu|lv|mx|nl|no|nz|pl|pt|ro|ru|se|si|sk"
    "|tr|ua|uk|us|za"
)
_HOST = re.compile(
    rf"(?<![\w.@-])({_LABELS}{{1,8}}(?:com|org|net|edu|gov|mil|info|local|lan|intern|internal)"
    rf"|{_LABELS}{{2,8}}(?:{_COUNTRIES})|{_LABELS}(?:{_COUNTRIES})(?=/))(?![\w-]|\.[\w-])"
)
_ADDRESSES = re.compile(
    r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])|(?<![\w.:])[0-9a-f]{3,4}(?::[0-9a-f]{0,4}){2,7}(?![\w.:])",
    re.IGNORECASE,
)
#: Versions have four parts as well, but small ones.
_LARGE = 20
_HYPHENS = re.compile(r"['\u2019-]")


def tells_others(text: str) -> bool:
    """Whether a technical text tells a person, an address in a network or in a town, or a folder of somebody's."""
    return (
        _names_someone(text)
        or any(each.search(text) is not None for each in (_BORN, _STREET))
        or any(not is_thing(found) for found in _FILE.findall(text))
        or any(map(_is_address, _ADDRESSES.findall(text)))
        or leads_elsewhere(text)
    )


def leads_elsewhere(text: str) -> bool:
    """Whether a text names a host that is no maker's and publishes no standard, or a user's folder."""
    hosts = (host for pattern in (_URL, _HOST, _WWW) for host in pattern.findall(text))
    return has_folder(text) or any(map(_is_elsewhere, hosts))


def has_folder(text: str) -> bool:
    """Whether a text is the path to a user's folder; with backslashes it looks like several values."""
    return _FOLDER.search(text) is not None


def _names_someone(text: str) -> bool:
    """Whether a name stands as it does of a person, and is none of things."""
    if (pair := _REVERSED.fullmatch(text)) and len(pair.group(1)) >= _FAMILY:
        return not any(map(_is_thing, (*pair.group(1).split(), *_spelled(pair.group(2)))))
    for pattern in (_INITIAL, _CUED, _DATED):
        for found in pattern.finditer(text):
            first, *others = filter(None, found.groups())
            names = [first, *(each for other in others for each in _spelled(other))]
            if len(first) >= _SPELLED and not any(map(_is_thing, names)):
                return True
    return False


def _spelled(name: str) -> tuple[str, ...]:
    """A given name, nothing for an initial."""
    return (name,) if len(name) > 1 else ()


def _is_thing(name: str) -> bool:
    return any(map(is_thing, filter(None, _HYPHENS.split(name))))


def _is_elsewhere(host: str) -> bool:
    labels = [label for part in host.lower().split(".") for label in part.split("-")]
    named = things()
    return named.makers.isdisjoint(labels) and named.hosts.isdisjoint(labels)


def _is_address(text: str) -> bool:
    """Whether it is an address of IPv4 or IPv6 rather than a version or a time: by what RFC 1918, 3927 and 4291 set
    aside, and by the size of the numbers of others."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if address.version == 6:
        return True
    first, second, *rest = address.packed
    if (first, second) in ((192, 168), (169, 254)) or (first == 172 and 16 <= second < 32):
        return True
    others = (second, *rest)
    return sum(each > _LARGE for each in others) >= (2 if first == 10 else 3) and (first == 10 or first > _LARGE)
