"""What a FHIR search asks for, read and understood: conditions, an order, a page and what is to come with it."""

from dataclasses import dataclass, field
from typing import TypeAlias

from services.hl7_fhir.domain.fhir.dates import Asked
from services.hl7_fhir.domain.fhir.parameters import Parameter

DEFAULT_COUNT = 50


@dataclass(frozen=True)
class Tokens:
    """One of ``alternatives``, each (number of the parameter, value, system or None for any); or none of them."""

    alternatives: tuple[tuple[int, str, str | None], ...] = field(repr=False)
    negated: bool = False


@dataclass(frozen=True)
class References:
    """A reference to one of ``targets``: ``Type/id`` or an absolute URL."""

    number: int
    targets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Dates:
    """A date that meets one of ``alternatives``."""

    number: int
    alternatives: tuple[Asked, ...] = field(repr=False)


@dataclass(frozen=True)
class Strings:
    """A string under one of ``numbers`` that starts with, contains or is one of ``alternatives``."""

    numbers: tuple[int, ...]
    mode: str
    alternatives: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Missing:
    """No value for the parameter with the ``mask``, or (not ``missing``) one."""

    mask: int
    missing: bool


@dataclass(frozen=True)
class Ids:
    """One of these logical ids."""

    ids: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Updated:
    """The time of the last change meets one of ``alternatives``."""

    alternatives: tuple[Asked, ...]


@dataclass(frozen=True)
class Chained:
    """A reference to a resource of one of ``kinds`` that meets one of ``conditions`` of its kind."""

    number: int
    conditions: tuple[tuple[str, "Condition"], ...]


Condition: TypeAlias = Tokens | References | Dates | Strings | Missing | Ids | Updated | Chained


@dataclass(frozen=True)
class Sort:
    """By the time of the last change, or by the date parameter with this number."""

    number: int | None
    descending: bool


@dataclass(frozen=True)
class Inclusion:
    """``_include`` or (``reverse``) ``_revinclude``: along ``parameter``, to (from) resources of ``kind``, if given.

    ``iterate``: also from what was included.
    """

    parameter: Parameter
    kind: str | None
    reverse: bool = False
    iterate: bool = False


@dataclass(frozen=True)
class Position:
    """Where a page ends: after the resource ``number`` with the sort key ``key``, along condition ``driver``.

    ``driver`` is -1 where all resources of the kind are gone through; ``total`` was counted for the first page.
    """

    driver: int
    key: int
    number: int
    total: int | None = None


@dataclass(frozen=True)
class Search:
    """A search among resources of ``kind``; all ``conditions`` must be met (R4 section 3.1.1.5).

    ``total``: none, estimate (known when it costs little) or accurate. ``ignored`` are parameters left out on request.
    """

    kind: str
    conditions: tuple[Condition, ...] = ()
    sort: Sort | None = None
    count: int = DEFAULT_COUNT
    total: str = "estimate"
    only_count: bool = False
    inclusions: tuple[Inclusion, ...] = ()
    after: Position | None = None
    ignored: tuple[str, ...] = ()
