"""Chained parameters, and patients that were merged: which references a search really means."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, select

from services.hl7_fhir.adapters.tables import resources
from services.hl7_fhir.domain.fhir.conditions import Chained, Condition, References, Tokens
from services.hl7_fhir.domain.fhir.indexing import reference
from services.hl7_fhir.domain.fhir.parameters import LOGICAL, parameters
from services.hl7_fhir.domain.fhir.reading import SearchRefused

#: Resources that a chain may lead through.
CHAINED = 1000
_MERGED = 50

Numbers = Callable[[Connection, str, Sequence[Condition], int], list[int]]


def resolved(connection: Connection, kind: str, conditions: Sequence[Condition], numbers: Numbers) -> list[Condition]:
    """The conditions with every chain and reference as alternatives of values; SearchRefused for too many.

    ``numbers`` finds the resources that meet conditions.
    """
    return [_resolved(connection, each, numbers) for each in conditions]


def _resolved(connection: Connection, condition: Condition, numbers: Numbers) -> Condition:
    if isinstance(condition, References):
        return _tokens(condition.number, [*condition.targets, *_survivors(connection, condition.targets)])
    if not isinstance(condition, Chained):
        return condition
    targets: list[str] = []
    logical: list[tuple[int, str, str | None]] = []
    for kind, inner in condition.conditions:
        known = _resolved(connection, inner, numbers)
        logical += _logical(condition.number, kind, inner)
        if isinstance(known, Tokens) and not known.alternatives:
            continue
        targets += _names(connection, kind, numbers(connection, kind, [known], CHAINED + 1))
    if len(targets) > CHAINED:
        raise SearchRefused("search-too-costly")
    found = _tokens(condition.number, [*targets, *_survivors(connection, targets)])
    return Tokens((*found.alternatives, *dict.fromkeys(logical)))


def _tokens(number: int, targets: Sequence[str]) -> Tokens:
    return Tokens(tuple((number, target, None) for target in dict.fromkeys(targets)))


def _logical(number: int, kind: str, inner: Condition) -> Iterator[tuple[int, str, str | None]]:
    """A chain to an identifier also means references that name their target by it."""
    own = parameters(kind).get("identifier")
    if own and isinstance(inner, Tokens) and not inner.negated:
        for found, value, system in inner.alternatives:
            if found == own.number:
                yield number + LOGICAL, value, system


def _names(connection: Connection, kind: str, numbers: Sequence[int]) -> list[str]:
    found = connection.execute(select(resources.c.id).where(resources.c.number.in_(numbers))) if numbers else ()
    return [f"{kind}/{row.id}" for row in found]


def _survivors(connection: Connection, targets: Sequence[str]) -> list[str]:
    """The patients by whom those among ``targets`` were replaced: what was theirs is the survivors' now."""
    ids = [target.removeprefix("Patient/") for target in targets if target.startswith("Patient/")]
    if not ids or len(ids) > _MERGED:
        return []
    linked = resources.c.present.bitwise_and(parameters("Patient")["link"].bit) != 0
    wanted = select(resources.c.body).where(resources.c.type == "Patient", resources.c.id.in_(ids), linked)
    return [name for row in connection.execute(wanted) for name in _replaced_by(json.loads(row.body))]


def _replaced_by(body: dict[str, Any]) -> Iterator[str]:
    for link in body.get("link", ()):
        if link.get("type") == "replaced-by" and (name := reference(link.get("other"))):
            yield name
