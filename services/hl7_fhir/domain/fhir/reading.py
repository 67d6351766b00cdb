"""One parameter of a FHIR search and its value, as a condition (R4 sections 3.1.1.4 and 3.1.1.5)."""

import re
from dataclasses import dataclass
from datetime import datetime

from services.hl7_fhir.domain.fhir import dates
from services.hl7_fhir.domain.fhir.conditions import (
    Chained,
    Condition,
    Dates,
    Ids,
    Missing,
    References,
    Strings,
    Tokens,
    Updated,
)
from services.hl7_fhir.domain.fhir.indexing import bounded, normal, token_value
from services.hl7_fhir.domain.fhir.parameters import (
    DATE,
    KINDS,
    LOGICAL,
    REFERENCE,
    STRING,
    TOKEN,
    Parameter,
    parameters,
)
from shared.errors import Unprocessable

#: Alternatives between commas, and links of a chain.
ALTERNATIVES = 100
_LINKS = 3
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
_URL = re.compile(r"(?:https?|urn):\S+")


class SearchRefused(Unprocessable):
    """The request asks for something that this server does not do; ``reason`` is fit to be shown."""


def is_id(text: str) -> bool:
    """Whether ``text`` may be the logical id of a resource (R4, data type id)."""
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True)
class Reading:
    """Reads parameters at a time ``now``; ``base`` is the URL of this server."""

    now: datetime
    base: str = ""

    def condition(self, kind: str, name: str, value: str, lenient: bool = False, links: int = 0) -> Condition | None:
        """What ``name=value`` asks of resources of ``kind``; None for an unknown name when ``lenient``.

        SearchRefused for an unknown name else, and always for a modifier or a value that cannot be used.
        """
        if "\0" in value:
            raise SearchRefused("search-value-unusable")
        first, dot, rest = name.partition(".")
        plain, _, modifier = first.partition(":")
        if not dot and plain in ("_id", "_lastUpdated"):
            return self._common(plain, modifier, value)
        parameter = parameters(kind).get(plain)
        if parameter is None:
            if lenient:
                return None
            raise SearchRefused("search-parameter-not-supported")
        if dot:
            return self._chain(parameter, modifier, rest, value, links)
        return self._plain(parameter, modifier, value)

    def _common(self, name: str, modifier: str, value: str) -> Condition:
        if modifier:
            raise SearchRefused("search-modifier-unusable")
        if name == "_lastUpdated":
            return Updated(tuple(self._date(each) for each in _alternatives(value)))
        return Ids(tuple(_alternatives(value)))

    def _plain(self, parameter: Parameter, modifier: str, value: str) -> Condition:
        if modifier == "missing":
            return _missing(parameter, value)
        alternatives = _alternatives(value)
        if parameter.type == TOKEN and modifier in ("", "not"):
            return _tokens(parameter.number, alternatives, negated=modifier == "not")
        if parameter.type == REFERENCE and modifier == "identifier":
            return _tokens(parameter.number + LOGICAL, alternatives)
        if parameter.type == REFERENCE and (not modifier or modifier in KINDS):
            return self._references(parameter, modifier, alternatives)
        if parameter.type == DATE and not modifier:
            return Dates(parameter.number, tuple(self._date(each) for each in alternatives))
        if parameter.type == STRING and modifier in ("", "exact", "contains"):
            return _strings(parameter, modifier, alternatives)
        raise SearchRefused("search-modifier-unusable")

    def _references(self, parameter: Parameter, kind: str, alternatives: tuple[str, ...]) -> Condition:
        """``123``, ``Type/123`` or a URL; an id alone is one of each type that the parameter may point to."""
        found: list[str] = []
        for each in alternatives:
            local = each.removeprefix(f"{self.base}/") if self.base else each
            if is_id(local):
                kinds = (kind,) if kind else parameter.targets or KINDS
                found += [f"{target}/{local}" for target in kinds]
            elif _is_typed(local):
                target = local.partition("/")[0]
                if (kind and target != kind) or (parameter.targets and target not in parameter.targets):
                    raise SearchRefused("search-value-unusable")
                found.append(local)
            elif _URL.fullmatch(each) and not kind:
                found += [bounded(each), *_tail(each, parameter)]
            else:
                raise SearchRefused("search-value-unusable")
        return References(parameter.number, tuple(dict.fromkeys(found)))

    def _date(self, value: str) -> dates.Asked:
        try:
            return dates.asked(value, self.now)
        except ValueError:
            raise SearchRefused("search-value-unusable") from None

    def _chain(self, parameter: Parameter, kind: str, rest: str, value: str, links: int) -> Condition:
        """``patient.identifier=…``: any kind that the parameter points to and that knows the rest of the name."""
        if parameter.type != REFERENCE or links >= _LINKS or (kind and kind not in KINDS):
            raise SearchRefused("chain-not-supported")
        name = re.split(r"[.:]", rest, maxsplit=1)[0]
        kinds = [each for each in ((kind,) if kind else parameter.targets or KINDS) if each in KINDS]
        knowing = [each for each in kinds if name in ("_id", "_lastUpdated") or name in parameters(each)]
        if not knowing:
            raise SearchRefused("search-parameter-not-supported")
        found = [(each, self.condition(each, rest, value, links=links + 1)) for each in knowing]
        return Chained(parameter.number, tuple((each, condition) for each, condition in found if condition))


def _is_typed(value: str) -> bool:
    kind, slash, resource_id = value.partition("/")
    return bool(slash) and kind.isascii() and kind.isalpha() and is_id(resource_id)


def _tail(url: str, parameter: Parameter) -> list[str]:
    """``Type/id`` at the end of a URL: this server is known to clients by more names than it knows itself."""
    kind, _, resource_id = url.rpartition("/")
    kind = kind.rpartition("/")[2]
    known = kind in (parameter.targets or KINDS) and is_id(resource_id)
    return [f"{kind}/{resource_id}"] if known else []


def _missing(parameter: Parameter, value: str) -> Condition:
    if value not in ("true", "false"):
        raise SearchRefused("search-value-unusable")
    return Missing(parameter.bit, value == "true")


def _tokens(number: int, alternatives: tuple[str, ...], negated: bool = False) -> Tokens:
    found = [_token(each) for each in alternatives]
    return Tokens(tuple((number, token_value(value), system) for system, value in found), negated)


def _strings(parameter: Parameter, modifier: str, alternatives: tuple[str, ...]) -> Condition:
    plain = [text.replace("\\|", "|").replace("\\\\", "\\") for text in alternatives]
    found = [each if modifier == "exact" else normal(each) for each in plain]
    if not all(found):
        raise SearchRefused("search-value-unusable")
    return Strings(parameter.searched, modifier or "starts", tuple(found))


def _alternatives(value: str) -> tuple[str, ...]:
    """The values between commas that no backslash protects."""
    found = tuple(_unescaped(part) for part in _split(value, ","))
    if len(found) > ALTERNATIVES or not all(found):
        raise SearchRefused("search-value-unusable")
    return found


def _split(value: str, mark: str) -> list[str]:
    parts: list[str] = []
    start, protected = 0, False
    for at, letter in enumerate(value):
        if letter == mark and not protected:
            parts.append(value[start:at])
            start = at + 1
        protected = letter == "\\" and not protected
    return [*parts, value[start:]]


def _unescaped(value: str) -> str:
    """Without the backslashes before a comma or a dollar; those before a bar are still needed."""
    return value.replace("\\,", ",").replace("\\$", "$")


def _token(value: str) -> tuple[str | None, str]:
    """(system, value): ``value`` any system, ``|value`` none, ``system|value``. ``system|`` alone is refused."""
    parts = [part.replace("\\|", "|").replace("\\\\", "\\") for part in _split(value, "|")]
    if len(parts) == 1:
        return None, parts[0]
    if len(parts) != 2 or not parts[1]:
        raise SearchRefused("search-value-unusable")
    return bounded(parts[0]), parts[1]
