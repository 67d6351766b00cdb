"""Pseudonyms that are given once for good, and the merges that tell whose somebody's is now, in SQL."""

from collections.abc import Callable
from itertools import count

from sqlalchemy import Connection, select, update

from services.deid.adapters.journal import Journal
from services.deid.adapters.sql import insert_new, upsert
from services.deid.adapters.tables import merge, person, pseudonym
from services.deid.domain.journal import Entry, Merged
from services.deid.domain.merges import Link, chain
from services.deid.domain.pseudonyms import UNTOLD
from shared.sql import Database


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
