"""Copies in the index, on SQLite and on PostgreSQL: located and judged alike in any order of facts."""

from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import Connection, delete

from contracts.formats.manifest import place
from services.catalog.adapters import copies, locations, studies, tables
from services.catalog.adapters.register import register
from shared.sql.database import Database
from tests.integration.catalog.makers import arrived, batch, copy_key, run, sealed


async def test_a_copy_is_located_whatever_the_order_of_its_facts(database: Database) -> None:
    one = arrived(1)
    (placed,) = place([one.instance])
    await run(database, copies.add_copy, copy_key(), "proven", proven=50.0, level="instances", written=40.0)
    await run(database, copies.add_copy, copy_key(), "written", written=40.0)
    await run(database, copies.add_sealed, sealed([placed]))
    await run(database, copies.add_entries, "p1", [(one.identity, placed)])
    await run(database, register, batch(one))
    document = await database.read(lambda connection: locations.where(connection, "1.2.3.1.1"))
    assert document
    (copy,) = document["versions"][0]["copies"]
    assert (copy["target"], copy["state"], copy["key"], copy["level"]) == ("cloud-a", "proven", "o/0001", "instances")
    assert copy["offset"] >= 500 and copy["proven"] == datetime.fromtimestamp(50, UTC).isoformat()


async def test_a_removed_copy_is_gone_for_good_and_a_damaged_one_is_shown_with_its_successor(
    database: Database,
) -> None:
    one = arrived(1)
    (placed,) = place([one.instance])
    await run(database, register, batch(one))
    await run(database, copies.add_entries, "p1", [(one.identity, placed)])
    await run(database, copies.add_sealed, sealed([placed]))
    await run(database, copies.add_copy, copy_key(1), "damaged", damaged=58.0)
    await run(database, copies.add_copy, copy_key(2), "proven", proven=60.0, level="instances", written=55.0)
    document = await database.read(lambda connection: locations.where(connection, "1.2.3.1.1"))
    assert document and [c["state"] for c in document["versions"][0]["copies"]] == ["damaged", "proven"]
    await run(database, copies.add_copy, copy_key(1), "removed", removed=65.0)
    await run(database, copies.add_copy, copy_key(1), "proven", proven=70.0, level="instances", written=55.0)
    document = await database.read(lambda connection: locations.where(connection, "1.2.3.1.1"))
    assert document and [c["generation"] for c in document["versions"][0]["copies"]] == [2]


async def known(database: Database) -> None:
    """An instance that lies in a sealed pack."""
    one = arrived(1)
    (placed,) = place([one.instance])
    await run(database, register, batch(one))
    await run(database, copies.add_entries, "p1", [(one.identity, placed)])
    await run(database, copies.add_sealed, sealed([placed]))


WRITTEN = ("written", {"written": 40.0})
PROVEN = ("proven", {"proven": 50.0, "level": "ciphertext", "written": 40.0})
DAMAGED = ("damaged", {"damaged": 60.0})
PROVEN_AGAIN = ("proven", {"proven": 70.0, "level": "instances", "written": 40.0})
REMOVED = ("removed", {"removed": 65.0})


@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ((WRITTEN, PROVEN, DAMAGED, ("failed", {})), ("damaged", 50.0, "ciphertext")),
        ((WRITTEN, PROVEN, DAMAGED, PROVEN_AGAIN), ("proven", 70.0, "instances")),
        ((WRITTEN, PROVEN, REMOVED, PROVEN_AGAIN), None),
        ((("failed", {}), WRITTEN), ("written", None, None)),
        ((("failed", {}),), None),
    ],
)
async def test_what_is_shown_of_a_copy_depends_on_when_things_happened_and_not_on_when_they_were_heard(
    database: Database, facts: tuple[tuple[str, dict[str, Any]], ...], shown: tuple[Any, ...] | None
) -> None:
    await known(database)

    def heard(connection: Connection, order: tuple[tuple[str, dict[str, Any]], ...]) -> tuple[Any, ...] | None:
        connection.execute(delete(tables.copy))
        for state, times in (*order, *order[:1]):
            copies.add_copy(connection, copy_key(), state, **times)
        document = locations.where(connection, "1.2.3.1.1")
        assert document
        found = [(one["state"], one["proven"], one["level"]) for one in document["versions"][0]["copies"]]
        assert bool(studies.proven_copies(connection, "1.2.3")) is bool(found and found[0][0] == "proven")
        return found[0] if found else None

    moment = None if shown is None or shown[1] is None else datetime.fromtimestamp(shown[1], UTC).isoformat()
    expected = None if shown is None else (shown[0], moment, shown[2])
    for order in permutations(facts):
        assert await run(database, heard, order) == expected, order
