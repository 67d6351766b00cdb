"""The tables of de-identification. What is here stays on site: it is what relates pseudonyms to people."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
)

from shared.messaging.outbox import outbox_table

metadata = MetaData()

_ID = String(64)
_UID = String(128)
_PROJECT = String(64)
_PERSON = String(64)
# SQLite numbers rows by itself only in a column of type INTEGER.
_NUMBER = BigInteger().with_variant(Integer, "sqlite")

#: kind is ``patient`` (issuer and Patient ID), ``study``, ``series`` or ``instance`` (UIDs). ``token`` stands for all
#: of it; ``sealed`` is what it was before, under the project's data key (adapters/map_keys.py).
identity = Table(
    "identity",
    metadata,
    Column("project", _PROJECT, primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("token", _ID, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("replacement", _UID, nullable=False),
    Index("identity_by_new", "project", "replacement"),
)

#: The map as earlier versions kept it, in plain text: moved into ``identity`` when the service starts.
identity_plain = Table(
    "identity_plain",
    metadata,
    Column("project", _PROJECT, primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("token", _ID, primary_key=True),
    Column("issuer", Text, nullable=False),
    Column("original", Text, nullable=False),
    Column("replacement", _UID, nullable=False),
)

#: The data key of each project's map, wrapped; "" is the site's own, for what belongs to no project.
map_key = Table(
    "map_key",
    metadata,
    Column("project", _PROJECT, primary_key=True),
    Column("kek_id", String(16), nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
)

#: The pseudonym of each patient (by match token), given once for good.
person = Table(
    "person",
    metadata,
    Column("project", _PROJECT, primary_key=True),
    Column("person", _PERSON, primary_key=True),
    Column("pseudonym", String(64), nullable=False),
)

#: For whom a pseudonym was first given: nobody else gets it.
pseudonym = Table(
    "pseudonym",
    metadata,
    Column("project", _PROJECT, primary_key=True),
    Column("pseudonym", String(64), primary_key=True),
    Column("owner", _PERSON, nullable=False),
)

#: UIDs that are random and stand for good, by an HMAC of the original under the project's key.
drawn_uid = Table(
    "drawn_uid",
    metadata,
    Column("project", _PROJECT, primary_key=True),
    Column("token", _ID, primary_key=True),
    Column("uid", _ID, nullable=False),
)

#: Whose record goes on in whose, by match tokens; ``undone`` is when somebody took that back. Seconds since 1970.
merge = Table(
    "merge",
    metadata,
    Column("person", _PERSON, primary_key=True),
    Column("survivor", _PERSON, nullable=False),
    Column("told", Float, nullable=False),
    Column("undone", Float),
)

#: Who took a merge back and why: the reason is sealed, since people write names into reasons.
undone_merge = Table(
    "undone_merge",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("person", _PERSON, nullable=False),
    Column("who", String(64), nullable=False),
    Column("told", Float, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("undone_merge_by_person", "person", "told"),
)

#: Under which pseudonym a patient went out in a pack.
pack_person = Table(
    "pack_person",
    metadata,
    Column("source_pack_id", _ID, primary_key=True),
    Column("project", _PROJECT, primary_key=True),
    Column("person", _PERSON, primary_key=True),
    Column("pseudonym", String(64), primary_key=True),
    Index("pack_by_person", "person"),
)

#: Who was led back to whom, by whom and why: the reason is sealed, since people write names into reasons.
disclosure = Table(
    "disclosure",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project", _PROJECT, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("who", String(64), nullable=False),
    Column("told", Float, nullable=False),
    Column("found", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

#: What is to be written to the journal, in the transaction that it tells of; gone once it lies there.
journal = Table(
    "journal",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("document", LargeBinary, nullable=False),
)

#: ``asked`` is when the newest run of its plan was told, ``released`` whether its bytes are gone from the work area.
result = Table(
    "result",
    metadata,
    Column("source_pack_id", _ID, primary_key=True),
    Column("project", _PROJECT, primary_key=True),
    Column("pack_id", _ID, nullable=False),
    Column("edition", String(16), nullable=False),
    Column("profile", String(64), nullable=False, server_default="basic"),
    Column("profile_version", String(64), nullable=False, server_default="1"),
    Column("study_ref", _ID, nullable=False, server_default=""),
    Column("instances", Integer, nullable=False, server_default="1"),
    Column("asked", Float, nullable=False),
    Column("released", Boolean, nullable=False),
    Column("document", Text, nullable=False),
    Column("studies", LargeBinary),
    Index("result_by_pack", "pack_id"),
    Index("result_by_profile", "profile", "profile_version"),
    Index("result_by_study", "project", "study_ref"),
)

#: ``archived`` is when the ledger last said so, NULL before it does. Times are seconds since 1970.
result_batch = Table(
    "result_batch",
    metadata,
    Column("source_pack_id", _ID, primary_key=True),
    Column("project", _PROJECT, primary_key=True),
    Column("batch_id", _ID, primary_key=True),
    Column("archived", Float),
    Index("result_batch_by_batch", "batch_id"),
)

#: ``entry`` is what people call it by, ``instance`` its line of the manifest, NULL for what was withheld by earlier
#: versions; ``since`` in seconds since 1970.
withheld = Table(
    "withheld",
    metadata,
    Column("source_pack_id", _ID, primary_key=True),
    Column("project", _PROJECT, primary_key=True),
    Column("sop_instance_uid", _UID, primary_key=True),
    Column("dataset_sha256", _ID, primary_key=True),
    Column("study_ref", _ID, nullable=False),
    Column("reason", String(64), nullable=False),
    Column("blob_key", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("entry", _ID, nullable=False, server_default=""),
    Column("since", Float, nullable=False, server_default="0"),
    Column("state", String(16), nullable=False, server_default="waiting"),
    Column("instance", Text),
    Column("findings", Text, nullable=False, server_default="[]"),
    Column("bytes_gone", Boolean, nullable=False, server_default=false()),
    Index("withheld_by_entry", "entry"),
    Index("withheld_by_state", "state", "since"),
    Index("withheld_by_blob", "blob_key"),
)

#: What people decided of withheld instances: the reason is sealed, since people write names into reasons.
verdict = Table(
    "verdict",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("entry", _ID, nullable=False),
    Column("project", _PROJECT, nullable=False),
    Column("action", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("who", String(64), nullable=False),
    Column("told", Float, nullable=False),
    Column("outcome", String(64), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("verdict_by_entry", "entry", "told"),
)

#: De-identified packs of what was released from quarantine, numbered from 1 within the pack that they are parts of.
#: ``told`` is whether that is in the outbox.
part = Table(
    "part",
    metadata,
    Column("source_pack_id", _ID, primary_key=True),
    Column("project", _PROJECT, primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("pack_id", _ID, nullable=False),
    Column("entry", _ID, nullable=False),
    Column("study_ref", _ID, nullable=False),
    Column("profile", String(64), nullable=False),
    Column("profile_version", String(64), nullable=False),
    Column("asked", Float, nullable=False),
    Column("released", Boolean, nullable=False),
    Column("told", Boolean, nullable=False),
    Column("document", Text, nullable=False),
    Index("part_by_pack", "pack_id"),
    Index("part_by_profile", "profile", "profile_version"),
)

#: Copies of packs in either form: when they were last proven, and last found damaged or removed.
known_copy = Table(
    "known_copy",
    metadata,
    Column("sealed_id", _ID, primary_key=True),
    Column("target", String(64), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("pack_id", _ID, nullable=False),
    Column("proven", Float),
    Column("lost", Float),
    Column("document", Text, nullable=False),
    Index("known_copy_by_pack", "pack_id"),
)

#: What was called back: every pack of a profile, of one project or ("") of all. ``finished`` is when all were found.
recall = Table(
    "recall",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("profile", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("project", _PROJECT, nullable=False),
    Column("who", String(64), nullable=False),
    Column("told", Float, nullable=False),
    Column("finished", Float),
    Column("sealed", LargeBinary, nullable=False),
    Index("recall_by_profile", "profile", "version"),
)

recalled_pack = Table(
    "recalled_pack",
    metadata,
    Column("recall_id", _ID, primary_key=True),
    Column("pack_id", _ID, primary_key=True),
    Column("source_pack_id", _ID, nullable=False),
    Column("project", _PROJECT, nullable=False),
    Column("study_ref", _ID, nullable=False),
    Column("document", Text, nullable=False),
)

#: How often a study was called back in a project: each release has a name and a study key of its own.
study_release = Table(
    "study_release",
    metadata,
    Column("project", _PROJECT, primary_key=True),
    Column("study_ref", _ID, primary_key=True),
    Column("release", Integer, nullable=False),
)

#: Copies of what was called back that are proven to be gone: ``removed``, or ``shredded`` where they are locked.
absence = Table(
    "absence",
    metadata,
    Column("recall_id", _ID, primary_key=True),
    Column("sealed_id", _ID, primary_key=True),
    Column("target", String(64), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("pack_id", _ID, nullable=False),
    Column("level", String(16), nullable=False),
    Column("found", Float, nullable=False),
)

outbox = outbox_table(metadata)
