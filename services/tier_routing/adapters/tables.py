"""The tables of the ledger. Rows per instance are small; copies and proofs are rows per pack."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

from shared.messaging.outbox import outbox_table

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


class Moment(TypeDecorator[datetime]):
    """A point in time as microseconds since 1970, exact and in one order on every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        return None if value is None else (value - _EPOCH) // _TICK

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + value * _TICK


metadata = MetaData()

_ID = String(64)
_NAME = String(64)
_UID = String(128)
# SQLite numbers rows by itself only in a column of type INTEGER.
_NUMBER = BigInteger().with_variant(Integer, "sqlite")

outbox = outbox_table(metadata)

claims = Table(
    "claims",
    metadata,
    Column("identity", LargeBinary(16), primary_key=True),
    Column("name", LargeBinary(16), nullable=False, index=True),
    Column("batch", _NUMBER, nullable=False),
    # 8 bytes that stand for the SOP Class UID; null where an older version of this code claimed.
    Column("sop_class", LargeBinary(8)),
    # The batch that keeps it, where that is not the one that claimed it.
    Column("keeper", _NUMBER),
)

studies = Table(
    "studies",
    metadata,
    Column("study_ref", _ID, primary_key=True),
    Column("patient_token", _ID),
)

series = Table(
    "series",
    metadata,
    Column("series", LargeBinary(16), primary_key=True),
    Column("study_ref", _ID, nullable=False),
)

batches = Table(
    "batches",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("batch_id", _ID, nullable=False, unique=True),
    Column("study_ref", _ID, nullable=False, index=True),
    Column("study_uid", _UID),
    Column("batch", Text, nullable=False),
    Column("arrival", Text, nullable=False),
    Column("commit_after", Text, nullable=False),
    Column("stored", Moment, nullable=False),
    Column("traceparent", String(64)),
    Column("secured", Moment),
    Column("secured_plan", _ID),
    Column("archived", Moment),
    Column("archived_plan", _ID),
)

#: Which batches a pack is of, and what it leaves out of each (entry numbers as in ``pack.planned``).
members = Table(
    "members",
    metadata,
    Column("batch", _NUMBER, primary_key=True),
    Column("pack", _NUMBER, primary_key=True, index=True),
    Column("left_out", Text, nullable=False),
)

#: The batches that hold what a duplicate brought again and left out: all that it brought, or a part.
owners = Table(
    "owners",
    metadata,
    Column("duplicate", _NUMBER, primary_key=True),
    Column("owner", _NUMBER, primary_key=True, index=True),
)

packs = Table(
    "packs",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    # Unique while the pack is open, null afterwards: a group has one open pack at most.
    Column("open_group", String(200), unique=True),
    Column("study_ref", _ID, nullable=False, index=True),
    Column("study_uid", _UID),
    Column("pack_id", _ID, unique=True),
    Column("plan_id", _ID),
    Column("policy", _ID, nullable=False),
    Column("rule", _NAME, nullable=False),
    Column("copies", Text, nullable=False),
    Column("commit_after", Text, nullable=False),
    Column("batches", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("instances", Integer, nullable=False),
    Column("opened", Moment, nullable=False),
    Column("last", Moment, nullable=False),
    Column("planned", Moment),
    Column("waiting_since", Moment, index=True),
    Column("run", Integer, nullable=False),
    Column("restarted", Moment),
    Column("told", Integer),
    # When the sweep looks at the pack again: what waits for a dead target is not evaluated in every round.
    Column("look_after", Moment),
)

plans = Table(
    "plans",
    metadata,
    Column("plan_id", _ID, primary_key=True),
    Column("pack", _NUMBER, nullable=False, index=True),
    Column("policy", _ID, nullable=False),
    Column("rule", _NAME, nullable=False),
    Column("copies", Text, nullable=False),
    Column("commit_after", Text, nullable=False),
    Column("made", Moment, nullable=False),
)

wanted = Table(
    "wanted",
    metadata,
    Column("pack", _NUMBER, primary_key=True),
    Column("form", String(16), primary_key=True),
    Column("target", _NAME, primary_key=True),
    Column("key_domain", _NAME, primary_key=True),
    Column("project", _NAME, primary_key=True),
    Column("tier", _NAME, nullable=False),
    Column("retention_days", Integer, index=True),
    Column("state", String(16), nullable=False),
    Column("generation", Integer, nullable=False, server_default="1"),
)

deidentified = Table(
    "deidentified",
    metadata,
    Column("pack_id", _ID, primary_key=True),
    # Null until the pack's own event arrives: its copies may be heard of before.
    Column("source_pack_id", _ID, index=True),
    Column("project", _NAME),
    Column("told", Moment),
    # 0 for what went out at once, from 1 what people released later; and when that was told to be archived.
    Column("part", Integer, nullable=False, server_default="0"),
    Column("archived", Moment),
)

#: De-identified packs that were called back: no copy of them counts, and every one is to go.
recalled = Table(
    "recalled",
    metadata,
    Column("pack_id", _ID, primary_key=True),
    Column("source_pack_id", _ID, nullable=False, index=True),
    Column("recall_id", _ID, nullable=False),
    Column("told", Moment, nullable=False),
)

quarantines = Table(
    "quarantines",
    metadata,
    Column("pack_id", _ID, primary_key=True),
    Column("project", _NAME, primary_key=True),
    Column("withheld", Integer, nullable=False),
    Column("released", Integer, nullable=False),
    Column("told", Moment, nullable=False),
)

seals = Table(
    "seals",
    metadata,
    Column("pack_id", _ID, primary_key=True),
    Column("key_domain", _NAME, primary_key=True),
    Column("sealed_id", _ID, nullable=False),
)

copies = Table(
    "copies",
    metadata,
    Column("sealed_id", _ID, primary_key=True),
    Column("target", _NAME, primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("pack_id", _ID, nullable=False, index=True),
    Column("key", Text, nullable=False),
    Column("written", Moment),
    Column("proven", Moment),
    Column("level", String(16)),
    Column("damaged", Moment),
    Column("damage", String(32)),
    Column("failed", Moment),
    Column("failure", String(128)),
    Column("retrying", Boolean, nullable=False),
    Column("expired", String(16)),
    Column("removed", Moment),
    Index("copies_by_target_written", "target", "written"),
    Index("copies_by_target_failed", "target", "failed"),
)

#: Every event about a copy, as it was heard, and whether the pack's batches were archived by then.
history = Table(
    "history",
    metadata,
    Column("event_id", _ID, primary_key=True),
    Column("pack_id", _ID, nullable=False, index=True),
    Column("sealed_id", _ID, nullable=False),
    Column("target", _NAME, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("fact", _NAME, nullable=False),
    Column("detail", String(128)),
    Column("told", Moment, nullable=False),
    Column("after_archived", Boolean, nullable=False),
)

orders = Table(
    "orders",
    metadata,
    Column("order_ref", _ID, primary_key=True),
    Column("accession_token", _ID, index=True),
    Column("study_ref", _ID, index=True),
    Column("priority", _NAME),
    Column("told", Moment, nullable=False),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("service", _NAME, nullable=False),
    Column("subject", String(128), nullable=False),
    Column("error_class", _NAME, nullable=False),
    Column("reason", String(128), nullable=False),
    Column("batch_id", _ID, index=True),
    Column("pack_id", _ID, index=True),
    Column("told", Moment, nullable=False),
)

#: Batches that an association's end named and that have not arrived.
announced = Table(
    "announced",
    metadata,
    Column("batch_id", _ID, primary_key=True),
    Column("study_ref", _ID),
    Column("ended", Moment, nullable=False, index=True),
    Column("told", Boolean, nullable=False),
)
