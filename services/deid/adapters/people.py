"""Pseudonyms and UIDs that are given once for good, and the merges that tell whose somebody's is now, in SQL."""

import secrets
from collections.abc import Callable, Collection, Mapping
from itertools import count

from sqlalchemy import Connection, select, update

from services.deid.adapters.journal import Journal
from services.deid.adapters.sql import insert_new, upsert
from services.deid.adapters.tables import drawn_uid, merge, person, pseudonym
from services.deid.domain.journal import Entry, Merged
from services.deid.domain.merges import Link, chain
from services.deid.domain.pseudonyms import UNTOLD, uid_of
from shared.sql import Database

#: UIDs in one statement, and in one entry of the journal.
_AT_ONCE = 1000


class SqlPeople:
    """The people of one project, asked on worker threads. What was told once stays for the life of this object."""

    def __init__(self, database: Database, project: str, journal: Journal | None = None) -> None:
        self._database = database
        self._project = project
        self._journal = journal
        self._known: dict[str, str] = {}

    def pseudonym(self, who: str, proposal: Callable[[int], str]) -> str:
        found = self._known.get(who)
        if found is None:
            found = self._database.run_blocking(lambda connection: self._assigned(connection, who, proposal))
            self._known[who] = found
        return found

    def uids(self, tokens: Collection[str]) -> Mapping[str, str]:
        """As the port says, in one transaction."""
        # In one order everywhere: of replicas that draw for the same ones, none waits for another that waits for it.
        wanted = sorted(tokens)
        some = [wanted[start : start + _AT_ONCE] for start in range(0, len(wanted), _AT_ONCE)]

        def work(connection: Connection) -> dict[str, str]:
            return {token: uid for each in some for token, uid in self._drawn(connection, each).items()}

        return self._database.run_blocking(work)

    def _drawn(self, connection: Connection, tokens: list[str]) -> dict[str, str]:
        found = self._uids(connection, tokens)
        drawn = {token: uid_of(secrets.randbits(128)) for token in tokens if token not in found}
        rows = [{"project": self._project, "token": token, "uid": uid} for token, uid in drawn.items()]
        insert_new(connection, drawn_uid, rows)
        stand = self._uids(connection, list(drawn))
        mine = tuple(each for each in drawn.items() if each in stand.items())
        if self._journal and mine:
            self._journal.note(connection, Entry(project=self._project, uids=mine))
        return found | stand

    def _uids(self, connection: Connection, tokens: list[str]) -> dict[str, str]:
        table = drawn_uid.c
        mine = (table.project == self._project, table.token.in_(tokens))
        query = select(table.token, table.uid).where(*mine)
        return {row.token: str(row.uid) for row in connection.execute(query)} if tokens else {}

    def _assigned(self, connection: Connection, who: str, proposal: Callable[[int], str]) -> str:
        """Of whoever goes on; where they were never seen, that of the one who was and came nearest to them."""
        path = chain(who, links_from(connection, who))
        mine = (person.c.project == self._project, person.c.person.in_(path))
        known = {row.person: row.pseudonym for row in connection.execute(select(person).where(*mine))}
        if path[-1] in known:
            return str(known[path[-1]])
        before = next((known[one] for one in reversed(path) if one in known), None)
        return self._give(connection, path[-1], before or self._claim(connection, path[-1], proposal))

    def _give(self, connection: Connection, who: str, given: str) -> str:
        """Of replicas that give at once, one is heard."""
        insert_new(connection, person, [{"project": self._project, "person": who, "pseudonym": given}])
        mine = (person.c.project == self._project, person.c.person == who)
        stands = str(connection.execute(select(person.c.pseudonym).where(*mine)).scalar_one())
        if self._journal:
            self._journal.note(connection, Entry(project=self._project, persons=((who, stands),)))
        return stands

    def _claim(self, connection: Connection, who: str, proposal: Callable[[int], str]) -> str:
        """The first proposal that stands for nobody else; who is only known by the header may be anybody of it."""
        for number in count():
            proposed = proposal(number)
            row = {"project": self._project, "pseudonym": proposed, "owner": who}
            insert_new(connection, pseudonym, [row])
            mine = (pseudonym.c.project == self._project, pseudonym.c.pseudonym == proposed)
            owner = connection.execute(select(pseudonym.c.owner).where(*mine)).scalar_one()
            if owner == who or UNTOLD in (owner[: len(UNTOLD)], who[: len(UNTOLD)]):
                return proposed
        raise AssertionError("count() has no end")


def links_from(connection: Connection, who: str) -> dict[str, Link]:
    """The merges that lead on from a patient."""
    links: dict[str, Link] = {}
    while who not in links:
        row = connection.execute(select(merge).where(merge.c.person == who)).first()
        if row is None or (row.undone is not None and row.undone >= row.told):
            break
        links[who] = Link(row.survivor, row.told)
        who = row.survivor
    return links


def hear_merge(connection: Connection, one: Merged) -> bool:
    """Keep that a patient goes on in another; the last word counts, and a repeat of an earlier one does not."""
    before = connection.execute(select(merge).where(merge.c.person == one.person)).first()
    if one.person == one.survivor or (before is not None and before.told >= one.told):
        return False
    row = {"person": one.person, "survivor": one.survivor, "told": one.told}
    upsert(connection, merge, row, ("person",), where=merge.c.told < one.told)
    return True


def undo_merge(connection: Connection, who: str, when: float) -> Merged | None:
    """Take back the merge of a patient: what goes out from now on is theirs again. None when there is none."""
    row = connection.execute(select(merge).where(merge.c.person == who)).first()
    if row is None or row.told > when or (row.undone is not None and row.undone >= row.told):
        return None
    connection.execute(update(merge).where(merge.c.person == who).values(undone=when))
    return Merged(who, row.survivor, row.told, when)
