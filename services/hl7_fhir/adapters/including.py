"""_include and _revinclude: resources that come with those found (R4 section 3.1.1.5.5)."""

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Connection, select

from services.hl7_fhir.adapters.rows import stored
from services.hl7_fhir.adapters.search_tables import tokens
from services.hl7_fhir.adapters.tables import resources
from services.hl7_fhir.domain.fhir.conditions import Inclusion
from services.hl7_fhir.domain.fhir.documents import Stored
from services.hl7_fhir.domain.fhir.indexing import bounded, reference, values

#: Resources that come with a page, and how far ``:iterate`` goes.
INCLUDED = 1000
_ROUNDS = 3
_CHUNK = 200

Name = tuple[str, str]


def include(
    connection: Connection, kind: str, found: Sequence[Stored], inclusions: Sequence[Inclusion]
) -> tuple[tuple[Stored, ...], bool]:
    """What the inclusions ask for beside ``found``, and whether that is all of it."""
    known = {(each.type, each.id): each for each in found}
    included: list[Stored] = []
    fresh, is_whole = list(found), True
    for turn in range(_ROUNDS):
        wanted = [each for each in inclusions if turn == 0 or each.iterate]
        if not wanted or not fresh:
            break
        names = [name for each in wanted for name in _names(connection, each, fresh)]
        new = [name for name in dict.fromkeys(names) if name not in known]
        room = INCLUDED - len(included)
        is_whole = is_whole and len(new) <= room
        fresh = list(_load(connection, new[:room]))
        known |= {(each.type, each.id): each for each in fresh}
        included += fresh
    return tuple(included), is_whole


def _names(connection: Connection, inclusion: Inclusion, fresh: Sequence[Stored]) -> Iterator[Name]:
    if inclusion.reverse:
        yield from _referring(connection, inclusion, fresh)
        return
    for each in fresh:
        if each.type == inclusion.parameter.kind:
            yield from _referred(inclusion, each)


def _referred(inclusion: Inclusion, of: Stored) -> Iterator[Name]:
    targets = inclusion.parameter.targets
    for value in values(inclusion.parameter, of.body):
        kind, slash, resource_id = (reference(value) or "").partition("/")
        if slash and (not targets or kind in targets) and inclusion.kind in (None, kind):
            yield kind, resource_id


def _referring(connection: Connection, inclusion: Inclusion, fresh: Sequence[Stored]) -> Iterator[Name]:
    ours = [bounded(f"{each.type}/{each.id}") for each in fresh if inclusion.kind in (None, each.type)]
    for chunk in _chunks(ours):
        wanted = (
            select(resources.c.type, resources.c.id)
            .join(tokens, tokens.c.number == resources.c.number)
            .where(tokens.c.parameter == inclusion.parameter.number, tokens.c.value.in_(chunk))
            .limit(INCLUDED + 1)
        )
        yield from ((row.type, row.id) for row in connection.execute(wanted))


def _load(connection: Connection, names: Sequence[Name]) -> Iterator[Stored]:
    for kind in dict.fromkeys(kind for kind, _ in names):
        for chunk in _chunks([resource_id for found, resource_id in names if found == kind]):
            wanted = select(resources).where(resources.c.type == kind, resources.c.id.in_(chunk))
            yield from map(stored, connection.execute(wanted.order_by(resources.c.number)))


def _chunks(values_: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values_[at : at + _CHUNK] for at in range(0, len(values_), _CHUNK))
