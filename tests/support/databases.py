"""Databases that have a service's tables: copies of one that was migrated, which takes longer than most tests in it."""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url

from shared.sql.migration import migrate

#: Takes ``sqlite`` or ``postgresql``, and the name of a service; gives the URL of an empty database of its own.
Migrated = Callable[[str, str], str]


def _with_tables(url: str, service: str) -> str:
    engine = create_engine(url)
    with engine.begin() as connection:
        migrate(connection, f"services.{service}.migrations")
    engine.dispose()
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The file of a service's empty tables, to be copied."""

    @cache
    def made(service: str) -> Path:
        path = tmp_path_factory.mktemp("migrated") / f"{service}.sqlite3"
        _with_tables(f"sqlite:///{path}", service)
        return path

    return made


@pytest.fixture(scope="session")
def postgres_template(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """The name of a database of a service's empty tables, to be copied."""

    @cache
    def made(service: str) -> str:
        url = request.getfixturevalue("postgres_server").database()
        return str(make_url(_with_tables(url, service)).database)

    return made


@pytest.fixture
def migrated(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    sqlite_template: Callable[[str], Path],
    postgres_template: Callable[[str], str],
) -> Migrated:
    """Makes databases with a service's tables and nothing in them."""

    def made(kind: str, service: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{shutil.copy(sqlite_template(service), tmp_path / f'{service}.sqlite3')}"
        server: Any = request.getfixturevalue("postgres_server")
        return str(server.database(postgres_template(service)))

    return made
