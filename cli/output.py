"""What a command prints: a table for people, or one JSON document with ``--json``."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

#: A pipe has no width: what is written there is read by a pager or a program, not wrapped at 80.
_WIDE = 160


def _console(*, stderr: bool = False) -> Console:
    found = Console(stderr=stderr)
    return found if found.is_terminal else Console(stderr=stderr, width=_WIDE)


console = _console()
_errors = _console(stderr=True)


def speak_on_errors() -> None:
    """Let everything that is said go to standard error, where standard output belongs to a JSON document."""
    console.stderr = True


def emit_json(document: Any) -> None:
    """One JSON document on standard output, and nothing else."""
    json.dump(document, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table with a title; values are shown as text, whatever brackets are in it."""
    drawn = Table(title=Text(title), title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(str(value)) for value in row))
    console.print(drawn)


def say(text: str) -> None:
    """One line for a person."""
    console.print(text, highlight=False, markup=False)


def warn(text: str) -> None:
    """One line on standard error."""
    _errors.print(text, style="yellow", highlight=False, markup=False)


def fail(text: str, status: int = 1) -> NoReturn:
    """Say what is wrong on standard error and end with ``status``."""
    _errors.print(f"error: {text}", style="red", highlight=False, markup=False)
    sys.exit(status)
