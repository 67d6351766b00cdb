"""The identity map sealed, pseudonyms given for good, merges, disclosures, the journal, and the profile of a result."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables; what was in plain text is moved when the service starts, which has the keys."""
    op.drop_index("identity_by_replacement", "identity")
    op.rename_table("identity", "identity_plain")
    op.create_table(
        "identity",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("replacement", sa.String(128), nullable=False),
    )
    op.create_index("identity_by_new", "identity", ["project", "replacement"])
    op.create_table(
        "map_key",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("kek_id", sa.String(16), nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "person",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("person", sa.String(64), primary_key=True),
        sa.Column("pseudonym", sa.String(64), nullable=False),
    )
    op.create_table(
        "pseudonym",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("pseudonym", sa.String(64), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
    )
    op.create_table(
        "merge",
        sa.Column("person", sa.String(64), primary_key=True),
        sa.Column("survivor", sa.String(64), nullable=False),
        sa.Column("told", sa.Float, nullable=False),
        sa.Column("undone", sa.Float),
    )
    op.create_table(
        "pack_person",
        sa.Column("source_pack_id", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("person", sa.String(64), primary_key=True),
        sa.Column("pseudonym", sa.String(64), primary_key=True),
    )
    op.create_index("pack_by_person", "pack_person", ["person"])
    op.create_table(
        "disclosure",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("told", sa.Float, nullable=False),
        sa.Column("found", sa.Integer, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "journal",
        sa.Column("number", _number, primary_key=True, autoincrement=True),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.add_column("result", sa.Column("profile", sa.String(64), nullable=False, server_default="basic"))
    op.add_column("result", sa.Column("profile_version", sa.String(64), nullable=False, server_default="1"))
    op.add_column("result", sa.Column("study_ref", sa.String(64), nullable=False, server_default=""))
    op.add_column("result", sa.Column("instances", sa.Integer, nullable=False, server_default="1"))
    op.create_index("result_by_profile", "result", ["profile", "profile_version"])
    op.create_index("result_by_study", "result", ["project", "study_ref"])
    op.create_table(
        "recall",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("profile", sa.String(64), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("told", sa.Float, nullable=False),
        sa.Column("finished", sa.Float),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_index("recall_by_profile", "recall", ["profile", "version"])
    op.create_table(
        "recalled_pack",
        sa.Column("recall_id", sa.String(64), primary_key=True),
        sa.Column("pack_id", sa.String(64), primary_key=True),
        sa.Column("source_pack_id", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("study_ref", sa.String(64), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "study_release",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("study_ref", sa.String(64), primary_key=True),
        sa.Column("release", sa.Integer, nullable=False),
    )
    op.create_table(
        "absence",
        sa.Column("recall_id", sa.String(64), primary_key=True),
        sa.Column("sealed_id", sa.String(64), primary_key=True),
        sa.Column("target", sa.String(64), primary_key=True),
        sa.Column("generation", sa.Integer, primary_key=True),
        sa.Column("pack_id", sa.String(64), nullable=False),
        sa.Column("level", sa.String(16), nullable=False),
        sa.Column("found", sa.Float, nullable=False),
    )
