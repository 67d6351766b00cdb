"""Studies, what ties them to orders and patients, and the work list of what nothing ties."""

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
