"""``key.json`` of a planted corpus: what was planted, and which fate each value has under which options."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: A random mark that goes with its value; where only the value is cleaned, a cleaner can't know it.
MARK = "token"
TEXT_FATES = frozenset({"text_removed", "cleaned"})


@dataclass(frozen=True)
class AnswerKey:
    """The key of the corpus in ``folder``."""

    folder: Path
    files: tuple[dict[str, Any], ...]
    records: Mapping[str, tuple[dict[str, Any], ...]]
    keep: Mapping[str, tuple[dict[str, Any], ...]]
    pixels: Mapping[str, dict[str, Any]]
    rows: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "AnswerKey":
        """The key beside the files."""
        document = json.loads((folder / "key.json").read_text())
        return cls(
            folder,
            tuple(each for each in document["files"] if each["kind"] != "dicomdir"),  # no instance: it is dropped
            _by_file(document["records"]),
            _by_file(document["keep"]),
            {each["file"]: each for each in document["pixels"]},
            document["rows"],
        )


def _by_file(entries: Iterable[dict[str, Any]]) -> dict[str, tuple[dict[str, Any], ...]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in entries:
        found[each["file"]].append(each)
    return {name: tuple(each) for name, each in found.items()}


def fates(record: Mapping[str, Any], options: frozenset[str]) -> frozenset[str]:
    """What may become of a value under these options: what one of them says, else what the basic profile says."""
    expected = record["expect"]
    chosen = frozenset(fate for option, fate in expected.items() if option in options)
    return chosen or frozenset({expected["basic"]})


def may_be_gone(record: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]], options: frozenset[str]) -> bool:
    """Whether a listed sequence above the value may go with all that is in it."""
    return any(not _stays(rows.get(tag, {}), options) for tag in record.get("anc", ()))


def _stays(row: Mapping[str, Any], options: frozenset[str]) -> bool:
    return any(code in ("K", "C") for option, code in row.get("options", {}).items() if option in options)
