"""What the headers of a pack with withheld instances name, sealed."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a place for it; of what is withheld already only its own header is searched for."""
    op.add_column("result", sa.Column("studies", sa.LargeBinary))
