"""The plan of streams and consumers that the contracts hold."""

from functools import lru_cache
from importlib import resources

import yaml

from shared.messaging.plan import Plan, read_plan


@lru_cache
def site_plan() -> Plan:
    """Every ``contracts/streams/*.yaml`` as one plan."""
    folder = resources.files("contracts.streams")
    documents = sorted((file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)
    return read_plan(*(yaml.safe_load(file.read_text()) for file in documents))
