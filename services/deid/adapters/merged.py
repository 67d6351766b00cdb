"""Merges that hl7_fhir reports, and what is out under a pseudonym that is no longer the patient's, in SQL."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from contracts.events import PatientMerged
from services.deid.adapters.journal import Journal
from services.deid.adapters.map_keys import Cipher, MapKeys
from services.deid.adapters.people import hear_merge, links_from, undo_merge
from services.deid.adapters.sql import insert_new
from services.deid.adapters.tables import merge, pack_person, person, result, undone_merge
from services.deid.domain.journal import Entry, Merged, Undone
from services.deid.domain.merges import Outdated, chain
from shared.sql import Database


class SqlMerges:
    """The merges in ``database``."""

    def __init__(self, database: Database, journal: Journal, keys: MapKeys) -> None:
        self._database = database
        self._journal = journal
        self._keys = keys

    async def hear(self, event: PatientMerged, told: float) -> bool:
        """Keep a merge, durably; False when it changes nothing, or one of the records has no ID that matches."""
        if event.patient_token is None or event.merged_token is None:
            return False
        one = Merged(event.merged_token, event.patient_token, told)

        def work(connection: Connection) -> bool:
            if not hear_merge(connection, one):
                return False
            self._journal.note(connection, Entry(merges=(one,)))
            return True

        is_new = await self._database.run(work)
        await self._journal.flush()
        return is_new

    async def undo(self, one: Undone) -> bool:
        """Take a merge back, durably: what goes out from now on is the patient's own again. False without one."""

        def work(connection: Connection) -> bool:
            merged = undo_merge(connection, one.person, one.told)
            if merged is None:
                return False
            entry = Entry(merges=(merged,), undone=(one,))
            keep_undone(connection, self._keys.of(connection, ""), entry)
            self._journal.note(connection, entry)
            return True

        was_there = await self._database.run(work)
        await self._journal.flush()
        return was_there

    async def outdated(self) -> Sequence[Outdated]:
        """What went out of merged patients under a pseudonym that is not theirs any more."""
        return await self._database.read(_outdated)


def keep_undone(connection: Connection, cipher: Cipher, entry: Entry) -> None:
    """Put what an entry of the journal says of merges that were taken back into the tables."""
    for one in entry.undone:
        row = {**one._asdict(), "sealed": cipher.seal(one.id, one.reason.encode())}
        del row["reason"]
        insert_new(connection, undone_merge, [row])


def _outdated(connection: Connection) -> list[Outdated]:
    out, merged = pack_person.c, select(merge.c.person)
    query = select(pack_person, result.c.pack_id).join(
        result, (result.c.source_pack_id == out.source_pack_id) & (result.c.project == out.project)
    )
    query = query.where(out.person.in_(merged)).order_by(out.project, out.person, out.pseudonym, result.c.pack_id)
    packs: dict[tuple[str, str, str], list[str]] = {}
    for row in connection.execute(query):
        packs.setdefault((row.project, row.person, row.pseudonym), []).append(row.pack_id)
    found = []
    for (project, who, before), pack_ids in packs.items():
        now = _present(connection, project, who)
        if now != before:
            found.append(Outdated(project, who, before, now, tuple(pack_ids)))
    return found


def _present(connection: Connection, project: str, who: str) -> str:
    """Under which pseudonym a patient would go out now."""
    path = chain(who, links_from(connection, who))
    mine = (person.c.project == project, person.c.person.in_(path))
    known = {row.person: str(row.pseudonym) for row in connection.execute(select(person).where(*mine))}
    return next(known[one] for one in reversed(path) if one in known)
