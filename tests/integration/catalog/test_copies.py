"""Copies in the index, on SQLite and on PostgreSQL: located and judged alike in any order of facts."""

from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import Connection, delete

from contracts.events import PackRecalled
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


async def test_a_pack_that_was_called_back_has_no_copy_any_more_whenever_that_was_heard(database: Database) -> None:
    """It is shown as called back, with the profile; a proof that comes late changes nothing, other packs stay."""
    await known(database)
    back = PackRecalled(
        recall_id="r", pack_id="p1", source_pack_id="s", project="research", study_ref="ref", profile="weak",
        profile_version="3", release=0, key_domains=("d",), recalled=datetime.fromtimestamp(90, UTC),
    )  # fmt: skip
    other = {"sealed_id": "s2", "pack_id": "p2"}

    def heard(connection: Connection, order: tuple[str, ...]) -> tuple[Any, ...]:
        connection.execute(delete(tables.copy))
        connection.execute(delete(tables.recalled_pack))
        for each in order:
            if each == "recalled":
                copies.add_recalled(connection, back)
            else:
                key = copy_key() if each == "proven" else copy_key().model_copy(update=other)
                copies.add_copy(connection, key, "proven", **PROVEN[1])
        document = locations.where(connection, "1.2.3.1.1")
        assert document
        (version,) = document["versions"]
        told = [one.pack_id for one in studies.proven_copies(connection, "1.2.3")]
        shown = [(one["pack_id"], one["sealed_id"]) for one in version["copies"]]
        return shown, version["recalled"], told

    (placed,) = place([arrived(1).instance])
    await run(database, copies.add_entries, "p2", [(arrived(1).identity, placed)])
    await run(database, copies.add_sealed, sealed([placed]).model_copy(update=other))
    shown = {
        "project": "research", "profile": "weak", "profile_version": "3", "pack_id": "p1",
        "recalled": datetime.fromtimestamp(90, UTC).isoformat(),
    }  # fmt: skip
    both = [("p1", "s1"), ("p2", "s2")]
    assert await run(database, heard, ("proven", "again")) == (both, [], ["p1", "p2"])
    for order in permutations(("proven", "recalled", "again")):
        assert await run(database, heard, (*order, *order[:1])) == (both[1:], [shown], ["p2"]), order


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
