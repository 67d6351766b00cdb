"""The map of a project for files without a bus: ``<folder>/<project>.map`` beside the project's key, mode 0600.

No original is in it: patients and UIDs are named by HMACs under the project's key.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic.util import CommandError

from services.deid.adapters.people import SqlPeople
from shared.errors import CausewayError, RetryLater
from shared.sql import Database
from shared.sql.migration import migrate


@contextmanager
def file_map(folder: Path, project: str) -> Iterator[SqlPeople]:
    """The people of a project; several processes may give pseudonyms at once. Not for use on an event loop.

    RetryLater where the file can't be read or made, or is no map.
    """
    path = folder / f"{project}.map"
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError:
        raise RetryLater("project-map") from None
    database = Database(f"sqlite:///{path.absolute()}")
    try:
        _migrate(database)
        yield SqlPeople(database, project)
    finally:
        asyncio.run(database.close())


def _migrate(database: Database) -> None:
    try:
        database.run_blocking(lambda connection: migrate(connection, "services.deid.migrations"))
    except RetryLater:
        raise
    except (CausewayError, CommandError):  # no SQLite at all, or that of something newer
        raise RetryLater("project-map") from None
