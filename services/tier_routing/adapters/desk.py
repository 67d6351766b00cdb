"""What every step of the ledger works with, and small ways of writing SQL that both databases understand."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from contracts.events import Event, PlannedCopy
from services.tier_routing.adapters.tables import studies
from services.tier_routing.domain.matching import Arrival, Trait
from services.tier_routing.domain.policy import Policy, demand
from shared.identity import SiteKey
from shared.messaging.outbox import Outbox

#: Stands for the study of all that has none.
NO_STUDY = "none"

#: OpenTelemetry keeps 128 links of a span.
MOST_LINKS = 127


@dataclass(frozen=True)
class Desk:
    """The policy, the names of things, and the outbox."""

    policy: Policy
    site_key: SiteKey
    outbox: Outbox

    def tell(
        self,
        connection: Connection,
        event: Event,
        *parts: str | int,
        traceparent: str | None = None,
        links: Iterable[str | None] = (),
    ) -> None:
        """Publish ``event`` with the transaction; ``parts`` make its id."""
        linked = [link for link in links if link and link != traceparent][:MOST_LINKS]
        event_id = self.site_key.event_id(event.subject, *parts)
        self.outbox.add(connection, event, id=event_id, traceparent=traceparent, links=linked)


def insert(connection: Connection, table: Table) -> Any:
    """An INSERT that knows ON CONFLICT."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


def insert_new(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows that break no unique key."""
    if rows:
        connection.execute(insert(connection, table).on_conflict_do_nothing(), rows)


def upsert(connection: Connection, table: Table, row: dict[str, Any], where: Any = None) -> None:
    """Insert ``row``, or where its primary key is taken (and ``where`` holds) set its other columns."""
    keys = [column.name for column in table.primary_key]
    changed = {name: value for name, value in row.items() if name not in keys}
    statement = insert(connection, table).values(row)
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed, where=where))


def locked(statement: Select[Any]) -> Select[Any]:
    """The rows, held to the end of the transaction (SQLite has one writer anyway)."""
    return statement.with_for_update()


def study_name(study_ref: str, study_uid: str | None) -> str:
    """What is held while something of a study changes; all that has no study is one."""
    return study_ref if study_uid else NO_STUDY


def hold_study(connection: Connection, study_ref: str, study_uid: str | None) -> Row[Any]:
    """Hold a study to the end of the transaction, before any of its packs: its row.

    Packs of one study depend on each other. Who held one of them and then wanted another could meet who holds that one.
    """
    name = study_name(study_ref, study_uid)
    mine = locked(select(studies).where(studies.c.study_ref == name))
    found = connection.execute(mine).first()
    if found is None:
        insert_new(connection, studies, [{"study_ref": name, "patient_token": None}])
        found = connection.execute(mine).one()
    return found


def copies_text(copies: Iterable[PlannedCopy]) -> str:
    """Planned copies as JSON."""
    return json.dumps([demand(copy) for copy in copies])


def copies_of(text: str) -> tuple[PlannedCopy, ...]:
    """Planned copies from JSON."""
    return tuple(PlannedCopy.model_validate(each) for each in json.loads(text))


def arrival_text(arrival: Arrival, accessions: Iterable[str]) -> str:
    """An arrival as JSON, with its accession tokens: a later plan asks for the priority of its orders again."""
    traits = [
        [each.modality, each.body_part, each.station_name, each.study_date and each.study_date.isoformat()]
        for each in arrival.traits
    ]
    document = {"traits": traits, "received": arrival.received.isoformat(), "source_ae": arrival.source_ae}
    return json.dumps({**document, "accessions": list(accessions)})


def arrival_of(text: str, priorities: Iterable[str]) -> Arrival:
    """An arrival from JSON, with the priorities of its orders as they now are."""
    document = json.loads(text)
    traits = (
        Trait(modality, body_part, station, date.fromisoformat(day) if day else None)
        for modality, body_part, station, day in document["traits"]
    )
    return Arrival(
        traits=tuple(traits),
        received=date.fromisoformat(document["received"]),
        source_ae=document["source_ae"],
        priorities=tuple(sorted(set(priorities))),
    )


def accessions_of(text: str) -> tuple[str, ...]:
    """The accession tokens of an arrival from JSON."""
    return tuple(json.loads(text)["accessions"])
