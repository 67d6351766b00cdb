"""A real PostgreSQL server from Debian's packages, a fresh database for each test."""

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.ports import free_ports
from tests.support.processes import ServerProcess


class Postgres:
    """A cluster on loopback that trusts its only user; ``server`` can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        programs = _programs()
        self.port = free_ports(1)[0]
        user = _unprivileged(folder)
        data = folder / "data"
        initdb = [str(programs / "initdb"), "-D", str(data), "-U", "tests", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, user=user, cwd=folder)
        options = {"-D": data, "-p": self.port, "-k": folder, "-h": "127.0.0.1", "-B": "16MB", "-N": 200}
        self.server = ServerProcess(
            [str(programs / "postgres"), *(str(word) for option in options.items() for word in option)],
            log=folder / "postgres.log",
            ready=self._answers,
            user=user,
            folder=folder,
        )

    def database(self, template: str = "template1") -> str:
        """The URL of a new database, as ``Database`` takes it: empty, or a copy of one that nobody is connected to."""
        name = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self._address(name).replace("postgresql:", "postgresql+psycopg:")

    def _address(self, database: str) -> str:
        return f"postgresql://tests@127.0.0.1:{self.port}/{database}"

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._address("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def _programs() -> Path:
    """The folder of initdb and postgres; skips the test without one."""
    on_path = shutil.which("initdb")
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True) + (
        [Path(on_path).parent] if on_path else []
    )
    found = next((place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None)
    if found is None:
        pytest.skip("no PostgreSQL server: install Debian's postgresql")
    return found


def _unprivileged(folder: Path) -> str | None:
    """PostgreSQL refuses to run as root: the user that it runs as then, who gets ``folder``."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("root without a user postgres: PostgreSQL cannot be started")
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return "postgres"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A server for the whole session."""
    # Not below pytest's own folder: only root may pass through that one.
    with tempfile.TemporaryDirectory(prefix="causeway-postgres-", ignore_cleanup_errors=True) as folder:
        cluster = Postgres(Path(folder))
        cluster.server.start()
        yield cluster
        cluster.server.kill()


@pytest.fixture
def postgres(postgres_server: Postgres) -> str:
    """The URL of a fresh database on a real PostgreSQL server."""
    return postgres_server.database()
