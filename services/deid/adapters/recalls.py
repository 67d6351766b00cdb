"""Recalls, in SQL: a study at a time, each in one transaction with what is told of it, so that any may be the last."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, or_, select, update

from contracts.events import CopyAbsent
from services.deid.adapters import copies
from services.deid.adapters.journal import Journal
from services.deid.adapters.map_keys import Cipher, MapKeys
from services.deid.adapters.sql import insert_new, upsert
from services.deid.adapters.tables import (
    absence,
    known_copy,
    part,
    recall,
    recalled_pack,
    result,
    study_release,
    verdict,
    withheld,
)
from services.deid.domain.facts import Outputs, Result
from services.deid.domain.journal import Entry, Recalled
from services.deid.domain.part10 import Project
from services.deid.domain.recall import Progress, Recall, pack_recalled
from shared.errors import RetryLater
from shared.identity import SiteKey
from shared.messaging.outbox import Outbox
from shared.sql import Database


class SqlRecalls:
    """The recalls in ``database``; what is told goes through ``outbox``."""

    def __init__(self, database: Database, outbox: Outbox, journal: Journal, keys: MapKeys, site_key: SiteKey) -> None:
        self._database = database
        self._outbox = outbox
        self._journal = journal
        self._keys = keys
        self._site_key = site_key

    async def open(self, one: Recall) -> int:
        entry = Recalled(one.id, one.profile, one.version, one.project, one.who, one.told.timestamp(), one.reason)

        def work(connection: Connection) -> int:
            keep_recalls(connection, self._keys.of(connection, ""), Entry(recalls=(entry,)))
            self._journal.note(connection, Entry(recalls=(entry,)))
            return _count(connection, _affected(one))

        studies = await self._database.run(work)
        await self._journal.flush()
        return studies

    async def unfinished(self) -> Sequence[str]:
        query = select(recall.c.id).where(recall.c.finished.is_(None)).order_by(recall.c.told)
        return await self._database.read(lambda connection: list(connection.execute(query).scalars()))

    async def withdraw(self, recall_id: str, now: datetime) -> tuple[int, Sequence[Outputs]]:
        return await self._database.run(lambda connection: self._withdraw(connection, recall_id, now))

    def _withdraw(self, connection: Connection, recall_id: str, now: datetime) -> tuple[int, Sequence[Outputs]]:
        row = connection.execute(select(recall).where(recall.c.id == recall_id).with_for_update()).one()
        one = Recall(
            row.id, row.profile, row.version, row.project, row.who, datetime.fromtimestamp(row.told, UTC), reason=""
        )
        study = connection.execute(_affected(one).limit(1)).first()
        if study is None:
            done = update(recall).where(recall.c.id == recall_id, recall.c.finished.is_(None))
            connection.execute(done.values(finished=now.timestamp()))
            return 0, ()
        return self._withdraw_study(connection, one, study.project, study.study_ref)

    def _withdraw_study(
        self, connection: Connection, one: Recall, project: str, study_ref: str
    ) -> tuple[int, Sequence[Outputs]]:
        """All that is out of a study in a project goes, under whichever profile: it shares a study key."""
        mine = (result.c.project == project, result.c.study_ref == study_ref, result.c.instances > 0)
        rows = connection.execute(select(result).where(*mine).with_for_update()).all()
        for row in rows:
            self._call_back(connection, one, row, study_ref)
            # What is held back of it is looked at anew with the rest.
            here = (withheld.c.source_pack_id == row.source_pack_id, withheld.c.project == project)
            connection.execute(delete(withheld).where(*here))
        connection.execute(delete(result).where(*mine))
        parts = self._withdraw_parts(connection, one, project, study_ref)
        entry = Entry(releases=((project, study_ref, release_of(connection, project, study_ref) + 1),))
        keep_recalls(connection, self._keys.of(connection, ""), entry)
        self._journal.note(connection, entry)
        return len(rows) + len(parts), [outputs for row in (*rows, *parts) if (outputs := _kept(row))]

    def _withdraw_parts(self, connection: Connection, one: Recall, project: str, study_ref: str) -> Sequence[Row[Any]]:
        """What people released from quarantine goes with the rest; they decide of it anew."""
        mine = (part.c.project == project, part.c.study_ref == study_ref)
        rows = connection.execute(select(part).where(*mine).with_for_update()).all()
        for row in rows:
            self._call_back(connection, one, row, study_ref)
            again = (verdict.c.entry == row.entry, verdict.c.state.in_(("approved", "cleaned")))
            connection.execute(update(verdict).where(*again).values(state="waiting"))
            here = (withheld.c.source_pack_id == row.source_pack_id, withheld.c.project == project)
            connection.execute(delete(withheld).where(*here))
            # A pack of which nothing else was out is made anew as well, so that the entry is withheld again.
            connection.execute(
                delete(result).where(result.c.source_pack_id == row.source_pack_id, result.c.project == project)
            )
        connection.execute(delete(part).where(*mine))
        return rows

    def _call_back(self, connection: Connection, one: Recall, row: Row[Any], study_ref: str) -> None:
        made = Result.model_validate_json(row.document)
        pack = {"pack_id": made.pack_id, "source_pack_id": row.source_pack_id, "project": row.project}
        kept = {**pack, "recall_id": one.id, "study_ref": study_ref, "document": row.document}
        insert_new(connection, recalled_pack, [kept])
        fact = pack_recalled(one, made, row.source_pack_id, row.project, study_ref)
        self._outbox.add(connection, fact, id=self._site_key.event_id(fact.subject, one.id, made.pack_id))

    async def absent(self, event: CopyAbsent) -> None:
        key = event.copy_key
        row = {
            "recall_id": event.recall_id, "sealed_id": key.sealed_id, "target": key.target,
            "generation": key.generation, "pack_id": key.pack_id, "level": event.level,
            "found": event.found.timestamp(),
        }  # fmt: skip
        await self._database.run(lambda connection: insert_new(connection, absence, [row]))

    async def progress(self) -> Sequence[Progress]:
        return await self._database.read(
            lambda connection: [
                _progress(connection, row) for row in connection.execute(select(recall).order_by(recall.c.told))
            ]
        )


def keep_recalls(connection: Connection, cipher: Cipher, entry: Entry) -> None:
    """Put what an entry of the journal says of recalls into the tables."""
    for one in entry.recalls:
        row = {**one._asdict(), "sealed": cipher.seal(one.id, one.reason.encode())}
        del row["reason"]
        insert_new(connection, recall, [row])
    for project, study_ref, release in entry.releases:
        row = {"project": project, "study_ref": study_ref, "release": release}
        upsert(connection, study_release, row, ("project", "study_ref"), where=study_release.c.release < release)


def release_of(connection: Connection, project: str, study_ref: str) -> int:
    """How often a study was called back in a project."""
    mine = (study_release.c.project == project, study_release.c.study_ref == study_ref)
    return int(connection.execute(select(study_release.c.release).where(*mine)).scalar() or 0)


def next_release(connection: Connection, project: Project, study_ref: str) -> int:
    """The release that what is made now belongs to; RetryLater under a profile that was called back."""
    profile, table = project.profile, recall.c
    weak = select(table.id).where(
        table.profile == profile.name, table.version == profile.version, table.project.in_(["", project.name])
    )
    if connection.execute(weak.limit(1)).first() is not None:
        raise RetryLater("profile-recalled")
    return release_of(connection, project.name, study_ref)


def refuse_recalled(connection: Connection, project: Project, study_ref: str, release: int) -> None:
    """RetryLater for work under a profile that was called back, or on a study that was while it went on."""
    if next_release(connection, project, study_ref) != release:
        raise RetryLater("study-recalled")


def _affected(one: Recall) -> Any:
    """Studies of which something is out under the profile."""
    out = (result.c.profile == one.profile, result.c.profile_version == one.version, result.c.instances > 0)
    released = (part.c.profile == one.profile, part.c.profile_version == one.version)
    packs = select(result.c.project, result.c.study_ref).where(*out)
    parts = select(part.c.project, part.c.study_ref).where(*released)
    if one.project:
        packs, parts = packs.where(result.c.project == one.project), parts.where(part.c.project == one.project)
    return packs.union(parts)


def _kept(row: Row[Any]) -> Outputs | None:
    """The bytes of a pack that are still in the work area."""
    return None if row.released else Result.model_validate_json(row.document).outputs


def _progress(connection: Connection, row: Row[Any]) -> Progress:
    mine = select(recalled_pack.c.pack_id).where(recalled_pack.c.recall_id == row.id)

    gone = select(absence.c.sealed_id, absence.c.target, absence.c.generation).where(absence.c.recall_id == row.id)
    known = select(known_copy.c.sealed_id, known_copy.c.target, known_copy.c.generation).where(
        known_copy.c.pack_id.in_(mine), or_(known_copy.c.proven.is_not(None), known_copy.c.lost.is_not(None))
    )
    again = (
        select(recalled_pack.c.pack_id)
        .join(
            result,
            (result.c.source_pack_id == recalled_pack.c.source_pack_id) & (result.c.project == recalled_pack.c.project),
        )
        .where(
            recalled_pack.c.recall_id == row.id,
            result.c.pack_id != recalled_pack.c.pack_id,
            or_(result.c.instances == 0, copies.has_proven(result.c.pack_id)),
        )
    )
    return Progress(
        id=row.id,
        profile=row.profile,
        version=row.version,
        project=row.project,
        who=row.who,
        told=row.told,
        found=row.finished is not None,
        packs=_count(connection, mine),
        copies=_count(connection, known.union(gone)),
        absent=_count(connection, gone),
        shredded=_count(connection, gone.where(absence.c.level == "shredded")),
        released=_count(connection, again),
    )


def _count(connection: Connection, query: Any) -> int:
    return int(connection.execute(select(func.count()).select_from(query.subquery())).scalar_one())
