"""A database of an older version keeps its resources and becomes searchable."""

import json
import shutil
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

import services.hl7_fhir.migrations
from services.hl7_fhir.adapters import indexing
from services.hl7_fhir.adapters.indexing import Index as SearchIndex
from shared.sql import Database
from tests.support.fhir_api import Api, patient

_OLD = ("0001_initial.py", "0002_journal.py", "0003_changes.py", "__init__.py")
_TABLE = "services_hl7_fhir_migrations"


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_resources_of_older_versions_are_kept_numbered_and_found(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}" if kind == "sqlite" else request.getfixturevalue("postgres")
    database = Database(url)
    await database.migrate(_older(tmp_path, monkeypatch))
    await database.run(_fill)
    await database.migrate("services.hl7_fhir.migrations")
    await database.migrate("services.hl7_fhir.migrations")
    api = Api(database)
    await api.get("/Patient?identifier=P3", 503)
    await SearchIndex(database).build()
    assert await api.ids("/Patient?identifier=urn:oid:1.2.3|P3") == ["p3"]
    assert await api.ids("/Patient?name=doe&_sort=_lastUpdated") == [f"p{each}" for each in range(5)]
    await api.put("Patient", "p9", patient(9))
    assert await api.ids("/Patient?identifier=P9") == ["p9"]
    await database.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_resource_that_cannot_be_indexed_keeps_no_other_out_of_the_index(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}" if kind == "sqlite" else request.getfixturevalue("postgres")
    database = Database(url)
    await database.migrate(_older(tmp_path, monkeypatch))
    await database.run(_fill)
    await database.run(lambda c: c.execute(text("UPDATE resources SET body = '{broken' WHERE id = 'p1'")))
    await database.migrate("services.hl7_fhir.migrations")
    made = indexing.rows

    def refused(kind: str, body: Any) -> Any:
        """Rows of P3 that no database takes."""
        found = made(kind, body)
        if "P3" not in json.dumps(body):
            return found
        nothing: Any = None
        return replace(found, tokens=frozenset((parameter, nothing, system) for parameter, _, system in found.tokens))

    monkeypatch.setattr(indexing, "rows", refused)
    await SearchIndex(database).build()
    api = Api(database)
    for each in (0, 2, 4):
        assert await api.ids(f"/Patient?identifier=urn:oid:1.2.3|P{each}") == [f"p{each}"]
    assert await api.ids("/Patient?identifier=urn:oid:1.2.3|P3") == []
    await database.close()


def _older(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package of the migrations that there were before."""
    package = folder / "older" / "older_migrations"
    package.mkdir(parents=True)
    (there,) = services.hl7_fhir.migrations.__path__
    for name in _OLD:
        shutil.copy(Path(there) / name, package)
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.delitem(sys.modules, package.name, raising=False)
    return package.name


def _fill(connection: Connection) -> None:
    connection.execute(text(f"ALTER TABLE older_migrations RENAME TO {_TABLE}"))
    wanted = text(
        "INSERT INTO resources (type, id, version, updated, message_ref, record, body)"
        " VALUES ('Patient', :id, 1, :updated, 'm', '{}', :body)"
    )
    for each in range(5):
        values = {
            "id": f"p{each}",
            "updated": datetime(2026, 1, 1, each, tzinfo=UTC),
            "body": json.dumps(patient(each)),
        }
        connection.execute(wanted, values)
