"""Messages, resources with their versions, identifiers, order numbers and the outbox."""

import sqlalchemy as sa
from alembic import op

from shared.messaging.outbox import outbox_table

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "messages",
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("ref", sa.String(32), nullable=False, unique=True),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("received", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("facility", sa.Text, nullable=False),
        sa.Column("control_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("trigger_event", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("code", sa.String(2), nullable=False),
        sa.Column("reason", sa.Text, nullable=True),
        sa.Column("place", sa.Text, nullable=True),
        sa.Column("mapped", sa.Boolean, nullable=False),
        sa.Column("flags", sa.Text, nullable=False),
    )
    op.create_index("ix_messages_name", "messages", ["name"])
    op.create_table(
        "resources",
        sa.Column("type", sa.String(32), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("message_ref", sa.String(32), nullable=False),
        sa.Column("patient", sa.String(64), nullable=True),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("resources_patient", "resources", ["type", "patient"])
    op.create_table(
        "versions",
        sa.Column("type", sa.String(32), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("message_ref", sa.String(32), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "identifiers",
        sa.Column("type", sa.String(32), primary_key=True),
        sa.Column("value", sa.String(512), primary_key=True),
        sa.Column("system", sa.String(512), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
    )
    op.create_index("identifiers_resource", "identifiers", ["type", "id"])
    op.create_table(
        "order_numbers",
        sa.Column("kind", sa.String(8), primary_key=True),
        sa.Column("issuer", sa.String(256), primary_key=True),
        sa.Column("value", sa.String(256), primary_key=True),
        sa.Column("id", sa.String(64), nullable=False),
    )
    op.create_index("order_numbers_order", "order_numbers", ["id"])
    outbox_table(sa.MetaData()).create(op.get_bind())
