"""A database of an older version keeps its resources and becomes searchable."""

import json
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

import services.hl7_fhir.migrations
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


def _fill(connection) -> None:
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
