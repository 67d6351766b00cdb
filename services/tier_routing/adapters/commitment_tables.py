"""The tables of storage commitment. What a request names is kept only until it is decided."""

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, String, Table, Text, true

from services.tier_routing.adapters.tables import Moment, metadata

# SQLite numbers rows by itself only in a column of type INTEGER.
_NUMBER = BigInteger().with_variant(Integer, "sqlite")

commitments = Table(
    "commitments",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("commitment_id", String(64), nullable=False, unique=True),
    # Who asked, and the Transaction UID; null for another request under the same one.
    Column("transaction", String(200), unique=True),
    Column("asked", Text),
    Column("instances", Integer, nullable=False),
    Column("heard", Moment, nullable=False),
    Column("traceparent", String(64)),
    # When it is looked at; null once it is decided.
    Column("look_after", Moment, index=True),
    Column("decided", Moment),
    Column("failed", Integer),
    # When it was last made; null from before that was noted.
    Column("requested", Moment),
)

#: The instances (SOP Instance UID, 16 bytes) that an undecided request names: one that arrives wakes it.
commitment_names = Table(
    "commitment_names",
    metadata,
    Column("name", LargeBinary(16), primary_key=True),
    Column("commitment", _NUMBER, primary_key=True, index=True),
)

#: The batches that an undecided request waits for: one that is secured wakes it.
commitment_batches = Table(
    "commitment_batches",
    metadata,
    Column("batch", _NUMBER, primary_key=True),
    Column("commitment", _NUMBER, primary_key=True, index=True),
)

#: The batches that brought an instance again, which another had claimed: whose version of it is whose. ``stored`` says
#: whether it was put into a pack again, ``entry`` where it stands in the batch (null from before that was noted).
brought = Table(
    "brought",
    metadata,
    Column("identity", LargeBinary(16), primary_key=True),
    Column("batch", _NUMBER, primary_key=True),
    Column("entry", Integer),
    Column("stored", Boolean, nullable=False, server_default=true()),
)
