"""Alembic without a project of its own: each service brings a folder of versions, the chassis applies them."""

from importlib.resources import as_file, files
from zlib import crc32

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text


def migrate(connection: Connection, package: str) -> None:
    """Apply to ``connection``'s transaction every version in ``package`` that is not yet applied.

    The applied version is kept in a table named after the package, so that services may share a database.
    """
    table = package.replace(".", "_")
    if connection.dialect.name == "postgresql":
        # Held to the end of the transaction: of two replicas starting together, the second finds the work done.
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": crc32(table.encode())})
    with as_file(files(package)) as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.set_main_option("version_locations", str(folder).replace("%", "%%"))
        config.set_main_option("path_separator", "newline")
        script = ScriptDirectory.from_config(config)
        with EnvironmentContext(config, script, fn=lambda applied, _: script._upgrade_revs("head", applied)) as runner:
            runner.configure(connection=connection, version_table=table)
            runner.run_migrations()
