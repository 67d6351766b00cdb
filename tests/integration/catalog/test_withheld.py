"""What was withheld and went out later, in the index on SQLite and on PostgreSQL: told alike in any order of facts."""

from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import Connection, Table, delete

from contracts.events import Blob, InstancesQuarantined, PackDeidentified, PackRecalled
from contracts.events.pack import Withheld
from contracts.formats.manifest import place
from services.catalog.adapters import copies, locations, tables
from services.catalog.adapters.register import register
from shared.sql.database import Database
from tests.integration.catalog.makers import HASH, arrived, batch, copy_key, run, sealed

ONE = arrived(1)
UID = ONE.instance.sop_instance_uid
FACTS: tuple[Table, ...] = (
    tables.withheld,
    tables.deidentified_pack,
    tables.pack_entry,
    tables.recalled_pack,
    tables.sealed,
    tables.copy,
)


def held(run: int = 0, reason: str = "face") -> InstancesQuarantined:
    one = Withheld(sop_instance_uid=UID, dataset_sha256=HASH, reason=reason)
    return InstancesQuarantined(
        pack_id="source", project="research", study_ref="ref", withheld=(one,), released=0, run=run
    )


def out(pack_id: str, part: int = 0, run: int = 0) -> PackDeidentified:
    blob = Blob(store="deid", key="k", size=1)
    return PackDeidentified(
        pack_id=pack_id, source_pack_id="source", project="research", study_ref="ref", manifest=blob, headers=blob,
        archive=blob, links=blob, instances=1, size=1, copies=(), run=run, part=part,
    )  # fmt: skip


def recalled(pack_id: str) -> PackRecalled:
    return PackRecalled(
        recall_id="r", pack_id=pack_id, source_pack_id="source", project="research", study_ref="ref", profile="weak",
        profile_version="3", release=0, key_domains=("d",), recalled=datetime.fromtimestamp(90, UTC),
    )  # fmt: skip


def hear(connection: Connection, fact: InstancesQuarantined | PackDeidentified | PackRecalled) -> None:
    if isinstance(fact, InstancesQuarantined):
        copies.add_withheld(connection, fact)
    elif isinstance(fact, PackDeidentified):
        # What went out at once holds another instance, all else the one that was withheld.
        identity = arrived(2).identity if fact.pack_id == "first" else ONE.identity
        copies.add_deidentified(connection, fact, [(identity, *place([ONE.instance]))])
    else:
        copies.add_recalled(connection, fact)


def told_of(connection: Connection, facts: tuple[Any, ...]) -> tuple[list[str], list[tuple[str, str]]]:
    """What is said after these facts: for what it is withheld, and for what it was before which pack released it."""
    for table in FACTS:
        connection.execute(delete(table))
    for fact in facts:
        hear(connection, fact)
    document = locations.where(connection, UID)
    assert document
    (version,) = document["versions"]
    assert {one["project"] for one in version["withheld"] + version["released"]} == {"research"}
    return (
        [one["reason"] for one in version["withheld"]],
        [(one["reason"], one["pack_id"]) for one in version["released"]],
    )


@pytest.mark.parametrize(
    ("facts", "withheld", "released"),
    [
        ((out("first"), held()), ["face"], []),
        ((out("first"), held(), out("part", 1)), [], [("face", "part")]),
        ((out("part", 1), held(), held(1, "text-left")), [], [("text-left", "part")]),
        ((held(), out("later", run=1)), [], [("face", "later")]),
        ((out("earlier"), held(1)), ["face"], []),
        ((held(), out("later"), out("later", run=1)), [], [("face", "later")]),
        ((held(), out("part", 1), recalled("part")), ["face"], []),
        ((held(), out("part", 1), recalled("part"), out("next", 1)), [], [("face", "next")]),
    ],
    ids=["waits", "approved", "told-again", "other-rules", "stricter-rules", "rerun", "recalled", "approved-anew"],
)
async def test_what_went_out_after_all_is_withheld_no_more(
    database: Database, facts: tuple[Any, ...], withheld: list[str], released: list[tuple[str, str]]
) -> None:
    await run(database, register, batch(ONE))
    for order in permutations(facts):
        assert await run(database, told_of, (*order, *order[:1])) == (withheld, released), order


async def test_a_pack_of_another_project_or_plan_lets_nothing_go(database: Database) -> None:
    await run(database, register, batch(ONE))
    for other in ({"project": "teaching"}, {"source_pack_id": "another"}):
        part = out("part", 1).model_copy(update=other)
        assert await run(database, told_of, (held(), part)) == (["face"], []), other


async def test_the_released_copy_is_among_the_copies_under_the_pack_that_is_named(database: Database) -> None:
    await run(database, register, batch(ONE))
    names = {"sealed_id": "s-part", "pack_id": "part"}

    def look(connection: Connection) -> Any:
        told_of(connection, (held(), out("part", 1)))
        copies.add_sealed(connection, sealed([*place([ONE.instance])]).model_copy(update=names))
        copies.add_copy(connection, copy_key().model_copy(update=names), "proven", proven=50.0, written=40.0, level="x")
        return locations.where(connection, UID)

    (version,) = (await run(database, look))["versions"]
    (copy,) = version["copies"]
    assert [copy["pack_id"]] == [one["pack_id"] for one in version["released"]]
