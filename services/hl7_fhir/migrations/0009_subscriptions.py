"""Subscriptions and their events."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of subscriptions; the feed is read from its beginning, which concerns nobody yet."""
    _create_subscriptions()
    op.create_table(
        "subscription_events",
        sa.Column("subscription", sa.String(64), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("change", sa.BigInteger, nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created", sa.Boolean, nullable=False),
    )
    op.create_index("subscription_events_change", "subscription_events", ["subscription", "change"], unique=True)
    op.create_index("subscription_events_at", "subscription_events", ["at"])
    op.create_table(
        "subscription_feed",
        sa.Column("reader", sa.String(32), primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
    )
    op.execute("INSERT INTO subscription_feed (reader, position) VALUES ('subscriptions', 0)")
    op.create_table(
        "subscription_tokens",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("subscriptions", sa.Text, nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
    )


def _create_subscriptions() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("creator", sa.String(128), nullable=False),
        sa.Column("base", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("error", sa.String(64), nullable=True),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("headers", sa.LargeBinary, nullable=True),
        sa.Column("ends", sa.Float, nullable=True),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("events", sa.BigInteger, nullable=False),
        sa.Column("delivered", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("failing_since", sa.Float, nullable=True),
        sa.Column("retry_at", sa.Float, nullable=False),
        sa.Column("heartbeat_at", sa.Float, nullable=True),
        sa.Column("claimed_by", sa.String(64), nullable=True),
        sa.Column("claimed_until", sa.Float, nullable=False),
    )
