"""The plan of streams and consumers that the contracts hold, and what a site sets of it."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from contracts.streams import Overlay, documents
from shared.messaging.plan import Plan, read_plan


@lru_cache
def site_plan() -> Plan:
    """Every document of ``contracts/streams`` as one plan."""
    return read_plan(*documents())


def overlaid_plan(file: Path, replicas: int | None = None) -> Plan:
    """The same under a site's overlay: ``file`` (``streams.yaml``, need not exist), and ``replicas`` of every stream.

    In the file ``"*"`` stands for all streams, and what it says of one alone goes before ``replicas``. ValueError for
    a file that sets what is no site's to set.
    """
    told = _overlay(file)
    everywhere = {**told.get("*", {}), **({} if replicas is None else {"replicas": replicas})}
    try:
        return read_plan(*documents({**told, "*": everywhere}))
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def _overlay(file: Path) -> Overlay:
    try:
        told: Any = yaml.safe_load(file.read_text()) if file.exists() else {}
    except yaml.YAMLError:
        raise ValueError(f"{file}: no YAML") from None
    told = told or {}
    if not isinstance(told, dict) or not all(isinstance(values, dict) for values in told.values()):
        raise ValueError(f"{file}: expected settings by stream, such as IMAGING: {{max_age: 90d}}")
    if strange := told.keys() - {"*", *(stream.name for stream in site_plan().streams)}:
        raise ValueError(f"{file}: there is no stream {', '.join(sorted(map(str, strange)))}")
    return told
