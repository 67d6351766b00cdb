"""What resources are searched by: the index of FHIR's search parameters, which the service fills as it runs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only in a column of type INTEGER.
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# Byte by byte on both databases.
_TEXT = sa.String(512, collation="C").with_variant(sa.String(512), "sqlite")


def upgrade() -> None:
    """Number the resources, make the tables of the index, and note that it does not know what is there already."""
    _number_resources()
    op.create_index("versions_updated", "versions", ["type", "updated", "id", "version"])
    op.drop_table("identifiers")
    _text_table("search_tokens", "system")
    _text_table("search_strings", "exact")
    op.create_index("search_strings_number", "search_strings", ["number", "parameter"])
    op.create_table(
        "search_dates",
        sa.Column("parameter", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("width", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("low", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("high", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_index("search_dates_number", "search_dates", ["number", "parameter"])
    state = op.create_table(
        "search_state",
        sa.Column("only", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("definitions", sa.String(64), nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("upto", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(state, [{"only": 0, "definitions": "", "done": 0, "upto": 1}])


def _number_resources() -> None:
    op.create_table(
        "resources_numbered",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("message_ref", sa.String(32), nullable=False),
        sa.Column("patient", sa.String(64), nullable=True),
        sa.Column("present", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.UniqueConstraint("type", "id", name="resources_name"),
    )
    columns = "type, id, version, updated, message_ref, patient, record, body"
    op.execute(f"INSERT INTO resources_numbered ({columns}) SELECT {columns} FROM resources ORDER BY updated, id")  # noqa: S608
    op.drop_table("resources")
    op.rename_table("resources_numbered", "resources")
    op.create_index("resources_patient", "resources", ["type", "patient"])
    op.create_index("resources_updated", "resources", ["type", "updated", "number"])


def _text_table(name: str, last: str) -> None:
    op.create_table(
        name,
        sa.Column("parameter", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("value", _TEXT, primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column(last, _TEXT, primary_key=True),
        sqlite_with_rowid=False,
    )
