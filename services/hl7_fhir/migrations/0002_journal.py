"""Messages are kept encrypted, wait to be mapped, and know who sent them; what was kept before is done."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, and the index of what is not done."""
    with op.batch_alter_table("messages") as table:
        table.add_column(sa.Column("sealed", sa.Boolean, nullable=False, server_default=sa.false()))
        table.add_column(sa.Column("size", sa.Integer, nullable=False, server_default="0"))
        table.add_column(sa.Column("state", sa.String(12), nullable=False, server_default="done"))
        table.add_column(sa.Column("origin", sa.String(64), nullable=False, server_default=""))
        table.add_column(sa.Column("corrects", sa.String(32), nullable=True))
        table.alter_column("content", existing_type=sa.LargeBinary, nullable=True)
    messages = sa.table("messages", sa.column("code"), sa.column("state"), sa.column("size"), sa.column("content"))
    op.execute(messages.update().where(messages.c.code != "AA").values(state="refused"))
    op.execute(messages.update().values(size=sa.func.length(messages.c.content)))
    open_ones = sa.text("state <> 'done'")
    has_content = sa.text("content IS NOT NULL")
    op.create_index("messages_kept", "messages", ["received"], sqlite_where=has_content, postgresql_where=has_content)
    op.create_index(
        "messages_open", "messages", ["state", "sequence"], sqlite_where=open_ones, postgresql_where=open_ones
    )
