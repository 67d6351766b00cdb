"""Copies in the index, on SQLite and on PostgreSQL: located and judged alike in any order of facts."""

from datetime import UTC, datetime

from contracts.formats.manifest import place
from services.catalog.adapters import copies, locations
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
    await run(database, copies.add_copy, copy_key(1), "damaged")
    await run(database, copies.add_copy, copy_key(2), "proven", proven=60.0, level="instances", written=55.0)
    document = await database.read(lambda connection: locations.where(connection, "1.2.3.1.1"))
    assert document and [c["state"] for c in document["versions"][0]["copies"]] == ["damaged", "proven"]
    await run(database, copies.add_copy, copy_key(1), "removed")
    await run(database, copies.add_copy, copy_key(1), "proven", proven=70.0, level="instances", written=55.0)
    document = await database.read(lambda connection: locations.where(connection, "1.2.3.1.1"))
    assert document and [c["generation"] for c in document["versions"][0]["copies"]] == [2]
