"""Freezes the JSON Schemas of events: ``python -m contracts.freeze`` or ``make schemas``.

``contracts/schemas/<subject>.json`` is the first revision, ``<subject>.2.json`` the second, and so on. A file is
written once and never changed: an event that grew gets the next revision, an event that broke gets an error and needs
a new major. The newest revision always demands what the model does; words alone make no revision.

``SHA256SUMS`` beside them (``sha256sum -c`` reads it) says what each file was when it was frozen. It is only appended
to: a line that changed is a contract that changed.
"""

import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from contracts.compatibility import breaks, wordless
from contracts.events import EVENTS, Event

FOLDER = Path(__file__).parent / "schemas"
SUMS = "SHA256SUMS"


class ContractBroken(Exception):
    """An event of a released major is no longer what it was: each line is one break."""

    def __init__(self, subject: str, found: Iterable[str]) -> None:
        super().__init__("\n".join(f"{subject} {each}" for each in found))


def schema_of(event: type[Event]) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of an event's data as the model is today."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:causeway:schema:{event.subject}",
        **event.model_json_schema(mode="validation"),
    }


def revisions(subject: str, folder: Path = FOLDER) -> list[Path]:
    """The frozen revisions of an event, oldest first."""
    first = folder / f"{subject}.json"
    later = ((int(path.suffixes[-2][1:]), path) for path in folder.glob(f"{subject}.*.json"))
    return [first, *(path for _, path in sorted(later))] if first.exists() else []


def load(path: Path) -> dict[str, Any]:
    """A frozen schema."""
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


def freeze(event: type[Event], folder: Path = FOLDER) -> Path | None:
    """Write the next revision if the event grew; ContractBroken if it broke. None when nothing is new."""
    schema, frozen = schema_of(event), revisions(event.subject, folder)
    for path in frozen:
        if found := breaks(load(path), schema):
            raise ContractBroken(event.subject, found)
    if frozen and wordless(load(frozen[-1])) == wordless(schema):
        return None
    name = f"{event.subject}.{len(frozen) + 1}.json" if frozen else f"{event.subject}.json"
    with (folder / name).open("x", encoding="utf-8") as file:
        file.write(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")
    return folder / name


def recorded(folder: Path = FOLDER) -> dict[str, str]:
    """The SHA-256 sum of each frozen file of ``folder`` by its name, as it was when it was frozen."""
    path = folder / SUMS
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def sums(folder: Path = FOLDER) -> dict[str, str]:
    """The SHA-256 sum of each file of ``folder`` by its name, as it is."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.json"))}


def record(folder: Path = FOLDER) -> None:
    """Append the sums of files that have none yet; what was once recorded stays, whatever the file is now."""
    known = recorded(folder)
    with (folder / SUMS).open("a", encoding="utf-8") as file:
        file.writelines(f"{digest}  {name}\n" for name, digest in sums(folder).items() if name not in known)


def main() -> int:
    """Freeze every event; exit status 1, and nothing more, when one broke."""
    try:
        for event in EVENTS:
            if written := freeze(event):
                sys.stdout.write(f"frozen: {written.name}\n")
    except ContractBroken as broken:
        sys.stderr.write(f"{broken}\n")
        return 1
    record()
    return 0


if __name__ == "__main__":
    sys.exit(main())
