"""The names in ``destinations.yaml``: one durable consumer and one queue for each."""

import re
from pathlib import Path
from typing import Any

import yaml

#: As services/forwarding/domain/destinations.py demands, which reads all of the file.
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")


class NoDestinations(ValueError):
    """The file is no list of destinations; the text says which, and why."""


def destination_names(path: Path) -> list[str]:
    """The destinations that ``path`` names, none without the file; NoDestinations."""
    try:
        told = _texts(path.read_text()) if path.exists() else None
    except (yaml.YAMLError, OSError, UnicodeDecodeError):
        raise NoDestinations(f"{path} cannot be read as YAML") from None
    named = told.get("destinations") if isinstance(told, dict) else told
    if named is None or named == "":
        return []
    if not isinstance(named, dict) or not all(_NAME.fullmatch(str(name)) for name in named):
        raise NoDestinations(f"{path}: expected `destinations`, settings by names such as old-pacs")
    return list(named)


def _texts(text: str) -> Any:
    """Mappings, lists and texts: whether a date is one is for those to say who read all of the file."""
    return yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - this loader makes nothing else
