"""What all inputs say of their studies, learnt before the first of them is cleaned: whom they name, and who gave their
Patient IDs. With bounded memory: it lies in a temporary database on disk, gone with the process."""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cli.deidentify.one import Batch, Input, Task
from cli.deidentify.originals import describe, find, stamp_of
from cli.dicom_files import Outgoing, Problem, Skipped
from services.deid.domain.names import NOBODY, Names, parse_studies, together, write_studies
from services.deid.domain.part10 import Named, named_in
from services.deid.domain.person import Issuers
from services.dicom_ingest.domain.elements import PixelData
from shared.errors import RetryLater

_SCHEMA = """
CREATE TABLE input (path BLOB, found TEXT, study TEXT, stamp TEXT);
CREATE TABLE study (uid TEXT PRIMARY KEY, names BLOB) WITHOUT ROWID;
CREATE TABLE patient (study TEXT, id TEXT, issuer TEXT, PRIMARY KEY (study, id, issuer)) WITHOUT ROWID;
"""
_OUTGOING, _PROBLEM, _SKIPPED = "outgoing", "problem", "skipped"


class Patient(NamedTuple):
    """A patient as the header of an object tells them."""

    study: str
    patient_id: str
    issuer: str


class Learnt(NamedTuple):
    """Some inputs, what headers of theirs name by study, and their patients."""

    inputs: list[Input]
    names: dict[str, Names]
    patients: set[Patient]


def learn_all(paths: Iterable[Path], task: Task) -> Learnt:
    """What there is to learn of ``paths``, which are few; never raises for what is in one."""
    learnt = Learnt([], {}, set())
    for path in paths:
        stamp = _stamp(path)
        found, named = _learn(path, task)
        learnt.inputs.append(Input(found, named.study, stamp))
        if named.study:
            learnt.names[named.study] = together(learnt.names.get(named.study, NOBODY), named.names)
        if named.patient_id:
            learnt.patients.add(Patient(named.study, named.patient_id, named.issuer))
    return learnt


def _stamp(path: Path) -> str:
    """Taken before the file is read: what is written to it from then on is noticed."""
    try:
        return stamp_of(path.stat())
    except (OSError, ValueError):
        return ""  # why is told when it is read


def _learn(path: Path, task: Task) -> tuple[Outgoing | Problem | Skipped, Named]:
    found = find(path, task.outlines)
    if not isinstance(found, Outgoing):
        return found, Named()
    try:
        with path.open("rb", buffering=0) as file:
            return found, named_in(file, describe(found), task.project)
    except (OSError, RetryLater):
        return Problem(path, "cannot be read"), Named()


class Studies:
    """Collects what is learnt, and gives the inputs back in their order with what their studies name."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_SCHEMA)
        self._database.execute("BEGIN")

    def note(self, learnt: Learnt) -> None:
        """Some more inputs."""
        rows = [(os.fsencode(found.path), json.dumps(_told(found)), *more) for found, *more in learnt.inputs]
        self._database.executemany("INSERT INTO input VALUES (?, ?, ?, ?)", rows)
        self._database.executemany("INSERT OR IGNORE INTO patient VALUES (?, ?, ?)", learnt.patients)
        for uid, names in learnt.names.items():
            known = self._names(uid)
            if (both := together(known, names)) is not known:
                document = write_studies({uid: both})
                self._database.execute("INSERT OR REPLACE INTO study VALUES (?, ?)", (uid, document))

    def _names(self, uid: str) -> Names:
        row = self._database.execute("SELECT names FROM study WHERE uid = ?", (uid,)).fetchone()
        return parse_studies(row[0])[uid] if row else NOBODY

    def issuers(self, default: str) -> Issuers:
        """``default`` for all, and what the inputs tell of each study.

        Where a study has two issuers of the same Patient ID, those are two.
        """
        halves = "SELECT study, id FROM patient GROUP BY study, id HAVING count(*) = 2 AND min(issuer) = ''"
        query = f"SELECT study, issuer, id FROM patient JOIN ({halves}) USING (study, id) WHERE issuer != ''"  # noqa: S608
        return Issuers(default, frozenset(self._database.execute(query)))

    def batches(self, size: int) -> Iterator[Batch]:
        """The inputs, so many at a time, each time with what their studies name."""
        rows = self._database.execute("SELECT path, found, study, stamp FROM input ORDER BY rowid")
        while some := rows.fetchmany(size):
            inputs = [Input(_found(Path(os.fsdecode(path)), *json.loads(told)), *more) for path, told, *more in some]
            yield Batch(inputs, {uid: self._names(uid) for uid in {one.study for one in inputs} if uid})


def _told(found: Outgoing | Problem | Skipped) -> list[Any]:
    """What an input is beside its path, fit for JSON."""
    if isinstance(found, Outgoing):
        named = (found.sop_class, found.sop_instance, found.transfer_syntax)
        return [_OUTGOING, found.offset, found.length, *named, found.pixels]
    return [_PROBLEM if isinstance(found, Problem) else _SKIPPED, found.why]


def _found(path: Path, kind: str, *told: Any) -> Outgoing | Problem | Skipped:
    if kind == _OUTGOING:
        offset, length, sop_class, sop_instance, syntax, pixels = told
        where = PixelData(*pixels) if pixels else None
        return Outgoing(path, offset, length, sop_class, sop_instance, syntax, where)
    return Problem(path, *told) if kind == _PROBLEM else Skipped(path, *told)
