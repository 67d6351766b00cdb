"""Who and what became whom, sealed, in SQL: what a re-identification, an export and a rebuild read."""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Connection, delete, func, select, text

from services.deid.adapters import tables
from services.deid.adapters.journal import Journal
from services.deid.adapters.map_keys import Cipher, MapKeys
from services.deid.adapters.merged import keep_undone
from services.deid.adapters.people import hear_merge, undo_merge
from services.deid.adapters.recalls import keep_recalls
from services.deid.adapters.sql import insert_new
from services.deid.domain.documents import Identity
from services.deid.domain.journal import Disclosure, Entry
from services.deid.domain.quarantine import Ruling
from shared.identity import SiteKey
from shared.observability import logger
from shared.sql import Database

log = logger("causeway.deid.identity")

#: Rows in one statement, entries of one object of the journal.
_AT_ONCE = 1500
#: Rows that an export reads at a time.
_PAGE = 2000


class SqlIdentityMap:
    """The map in ``database``."""

    def __init__(self, database: Database, keys: MapKeys, journal: Journal, secret: Callable[[str], SiteKey]) -> None:
        self._database = database
        self._keys = keys
        self._journal = journal
        self._secret = secret

    def add(self, connection: Connection, project: str, source_pack_id: str, found: Iterator[Identity]) -> None:
        """Keep who became whom in a pack, and have it journalled."""
        while some := list(dict.fromkeys(islice(found, _AT_ONCE))):
            packs = {(source_pack_id, one.person, one.replacement): None for one in some if one.person}
            entry = Entry(project=project, identities=tuple(some), packs=tuple(packs))
            self._keep(connection, entry)
            self._journal.note(connection, entry)

    def apply(self, connection: Connection, entry: Entry) -> None:
        """Put what an entry of the journal says into the tables."""
        cipher = self._keys.of(connection, entry.project)
        self._keep(connection, entry)
        keep_recalls(connection, cipher, entry)
        keep_undone(connection, cipher, entry)
        rows = [{"project": entry.project, "person": who, "pseudonym": name} for who, name in entry.persons]
        insert_new(connection, tables.person, rows)
        insert_new(connection, tables.pseudonym, [_claimed(row) for row in rows])
        drawn = [{"project": entry.project, "token": token, "uid": uid} for token, uid in entry.uids]
        insert_new(connection, tables.drawn_uid, drawn)
        for merged in entry.merges:
            hear_merge(connection, merged)
            if merged.undone is not None:
                undo_merge(connection, merged.person, merged.undone)
        insert_new(connection, tables.disclosure, [_row(cipher, entry.project, one) for one in entry.disclosures])
        insert_new(connection, tables.verdict, [_row(cipher, entry.project, one) for one in entry.rulings])

    def rule(self, connection: Connection, project: str, ruling: Ruling) -> None:
        """Keep what was decided of a withheld instance, and have it journalled."""
        insert_new(connection, tables.verdict, [_row(self._keys.of(connection, project), project, ruling)])
        self._journal.note(connection, Entry(project=project, rulings=(ruling,)))

    def rulings(self, connection: Connection, project: str, entry: str) -> Sequence[Ruling]:
        """What was decided of a withheld instance, the first first."""
        table = tables.verdict
        rows = connection.execute(select(table).where(table.c.entry == entry).order_by(table.c.told)).all()
        cipher = self._keys.of(connection, project) if rows else None
        return [_ruling(cipher, row) for row in rows if cipher]

    def seal(self, connection: Connection, project: str, about: str, content: bytes) -> bytes:
        """``content`` as it may rest in a table of the project."""
        return self._keys.of(connection, project).seal(about, content)

    def unseal(self, connection: Connection, project: str, about: str, sealed: bytes) -> bytes:
        """What was sealed about this; Unprocessable when it was not."""
        return self._keys.of(connection, project).open(about, sealed)

    async def flush(self) -> None:
        """Make the journal durable as far as the database is. RetryLater."""
        await self._journal.flush()

    async def prepare(self) -> None:
        """What there is to do when the service starts: rebuild an empty map, seal one of earlier versions."""
        await self._journal.rebuild(self.apply)
        if moved := await self.take_over():
            log.info("identity-map-sealed", rows=moved)

    async def count(self, project: str) -> int:
        """How many entries the map of a project has."""
        query = select(func.count()).select_from(tables.identity).where(tables.identity.c.project == project)
        return await self._database.read(lambda connection: connection.execute(query).scalar_one())

    async def find(self, project: str, replacement: str) -> Sequence[Identity]:
        """What a pseudonym or a new UID stands for; patients who were merged have several."""
        table = tables.identity.c
        mine = select(tables.identity).where(table.project == project, table.replacement == replacement)

        def work(connection: Connection) -> list[Identity]:
            rows = connection.execute(mine.order_by(table.kind, table.token)).all()
            cipher = self._keys.of(connection, project) if rows else None
            return [_opened(cipher, row) for row in rows if cipher]

        return await self._database.run(work)

    async def page(self, project: str, after: tuple[str, str]) -> tuple[Sequence[Identity], tuple[str, str] | None]:
        """Some of a project's map behind ``after`` (kind, token), and where the next page begins, if there is one."""
        table = tables.identity.c
        behind = (table.kind > after[0]) | ((table.kind == after[0]) & (table.token > after[1]))
        mine = select(tables.identity).where(table.project == project, behind)

        def work(connection: Connection) -> tuple[list[Identity], tuple[str, str] | None]:
            rows = connection.execute(mine.order_by(table.kind, table.token).limit(_PAGE)).all()
            cipher = self._keys.of(connection, project) if rows else None
            last = (rows[-1].kind, rows[-1].token) if len(rows) == _PAGE else None
            return [_opened(cipher, row) for row in rows if cipher], last

        return await self._database.run(work)

    async def disclose(self, project: str, one: Disclosure) -> None:
        """Keep, durably, that somebody was led back; RetryLater: then nothing may be told."""

        def work(connection: Connection) -> None:
            cipher = self._keys.of(connection, project)
            insert_new(connection, tables.disclosure, [_row(cipher, project, one)])
            self._journal.note(connection, Entry(project=project, disclosures=(one,)))

        await self._database.run(work)
        await self._journal.flush()

    async def take_over(self) -> int:
        """Seal what earlier versions kept in plain text, and overwrite that; how many rows."""
        moved = 0
        while count := await self._database.run(lambda connection: self._some(connection)):
            moved += count
        return moved

    def _some(self, connection: Connection) -> int:
        plain = tables.identity_plain
        if connection.dialect.name == "sqlite":
            connection.execute(text("PRAGMA secure_delete = ON"))
        rows = connection.execute(select(plain).order_by(plain.c.project, plain.c.kind, plain.c.token).limit(_AT_ONCE))
        found = rows.all()
        for project in sorted({row.project for row in found}):
            mine = [row for row in found if row.project == project]
            identities = tuple(Identity(one.kind, one.issuer, one.original, one.replacement) for one in mine)
            entry = Entry(project=project, identities=identities)
            self._keep(connection, entry)
            self._journal.note(connection, entry)
            for kind in {row.kind for row in mine}:
                tokens = [row.token for row in mine if row.kind == kind]
                here = (plain.c.project == project, plain.c.kind == kind, plain.c.token.in_(tokens))
                connection.execute(delete(plain).where(*here))
        return len(found)

    def _keep(self, connection: Connection, entry: Entry) -> None:
        cipher, key = self._keys.of(connection, entry.project), self._secret(entry.project)
        rows = [_sealed(cipher, key, entry.project, one) for one in entry.identities]
        insert_new(connection, tables.identity, rows)
        packs = [
            {"source_pack_id": pack, "project": entry.project, "person": who, "pseudonym": name}
            for pack, who, name in entry.packs
        ]
        insert_new(connection, tables.pack_person, packs)


def _sealed(cipher: Cipher, key: SiteKey, project: str, one: Identity) -> dict[str, Any]:
    token = key.token(f"identity-{one.kind}", one.issuer, one.original, one.replacement)
    content = json.dumps([one.issuer, one.original]).encode()
    sealed = cipher.seal(f"{one.kind} {token}", content)
    return {"project": project, "kind": one.kind, "token": token, "sealed": sealed, "replacement": one.replacement}


def _opened(cipher: Cipher, row: Any) -> Identity:
    issuer, original = json.loads(cipher.open(f"{row.kind} {row.token}", bytes(row.sealed)))
    return Identity(row.kind, issuer, original, row.replacement)


def _claimed(row: dict[str, str]) -> dict[str, str]:
    return {"project": row["project"], "pseudonym": row["pseudonym"], "owner": row["person"]}


def _ruling(cipher: Cipher, row: Any) -> Ruling:
    reason = cipher.open(row.id, bytes(row.sealed)).decode()
    return Ruling(row.id, row.entry, row.action, row.state, row.who, row.told, row.outcome, reason)


def _row(cipher: Cipher, project: str, one: Disclosure | Ruling) -> dict[str, Any]:
    sealed = cipher.seal(one.id, one.reason.encode())
    return {"project": project, "sealed": sealed, **{k: v for k, v in one._asdict().items() if k != "reason"}}
