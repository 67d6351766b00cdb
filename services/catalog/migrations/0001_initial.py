"""The first schema of the index."""

from alembic import op
from sqlalchemy import MetaData

revision = "0001"
down_revision = None
