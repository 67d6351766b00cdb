"""The tables that ship with the service, as data."""

import json
from importlib.resources import files
from typing import Any

import yaml

#: libyaml's reads ten times as fast; not every wheel has it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def shipped(name: str) -> Any:
    """The document in a table, by the name of its file."""
    text = (files(__package__) / name).read_text("utf-8")
    return json.loads(text) if name.endswith(".json") else yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe one
