"""What became of all inputs, with bounded memory: a temporary database on disk, gone with the process."""

import json
import os
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from cli.deidentify.results import Outcome, Result
from services.deid.domain.record import Step

_SCHEMA = """
CREATE TABLE result (path TEXT, outcome TEXT, reason TEXT, output TEXT);
CREATE TABLE map (original TEXT PRIMARY KEY, new TEXT) WITHOUT ROWID;
CREATE TABLE step (rule TEXT, attribute TEXT, action TEXT, count INTEGER, PRIMARY KEY (rule, attribute, action));
CREATE TABLE quarantine (original TEXT PRIMARY KEY) WITHOUT ROWID;
"""


class Ledger:
    """Notes results as they come, and tells them in any order and number."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_SCHEMA)
        self._database.execute("BEGIN")

    def note(self, result: Result) -> None:
        """One more input."""
        path = os.fsencode(result.path).decode("utf-8", "backslashreplace")  # a name may be in any character set
        row = (path, result.outcome.value, result.reason, result.output)
        self._database.execute("INSERT INTO result VALUES (?, ?, ?, ?)", row)
        if result.outcome is Outcome.RELEASED:
            self._database.execute("INSERT OR IGNORE INTO map VALUES (?, ?)", (result.original, result.new))
        if result.outcome is Outcome.WITHHELD:
            self._database.execute("INSERT OR IGNORE INTO quarantine VALUES (?)", (result.original,))

    def note_steps(self, steps: Counter[Step]) -> None:
        """What was done in some of them."""
        rows = [(rule, attribute_of(path), action, count) for (path, action, rule), count in steps.items()]
        query = "INSERT INTO step VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"
        self._database.executemany(query, rows)

    def rules(self) -> list[dict[str, str | int]]:
        """How often each rule did what to which attribute."""
        query = "SELECT rule, attribute, action, count FROM step ORDER BY rule, attribute, action"
        names = ("rule", "attribute", "action", "count")
        return [dict(zip(names, row, strict=True)) for row in self._database.execute(query)]

    def count(self, outcome: Outcome) -> int:
        """How many inputs came to this."""
        return int(self._database.execute("SELECT count(*) FROM result WHERE outcome = ?", (outcome,)).fetchone()[0])

    def reasons(self) -> dict[str, int]:
        """How many were withheld for which reason."""
        query = "SELECT reason, count(*) FROM result WHERE outcome = ? GROUP BY reason ORDER BY reason"
        return dict(self._database.execute(query, (Outcome.WITHHELD,)).fetchall())

    def inputs(self, *outcomes: Outcome) -> Iterator[dict[str, str]]:
        """The inputs that came to one of ``outcomes``, as the report has them, in their order."""
        for row in self._database.execute("SELECT path, outcome, reason, output FROM result ORDER BY rowid"):
            if row[1] in outcomes:
                yield {
                    key: told for key, told in zip(("path", "outcome", "reason", "output"), row, strict=True) if told
                }

    def write_map(self, file: TextIO) -> None:
        """The map: a JSON object, original SOP Instance UID → new."""
        file.write("{")
        pairs = self._database.execute("SELECT original, new FROM map ORDER BY original")
        for number, (original, new) in enumerate(pairs):
            file.write(f"{',' if number else ''}\n{json.dumps(original)}: {json.dumps(new)}")
        file.write("\n}\n")

    def write_quarantine(self, file: TextIO) -> None:
        """What was held back: an original SOP Instance UID per line, what else is in one escaped as in JSON."""
        for (original,) in self._database.execute("SELECT original FROM quarantine ORDER BY original"):
            file.write(f"{json.dumps(original)[1:-1]}\n")


def attribute_of(path: tuple[int, ...]) -> str:
    """``(gggg,eeee)`` below the sequences that it is in."""
    return "/".join(f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in path) or "others"


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A text file, for its owner alone, that takes the place of ``path`` when it is written whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            yield file
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
