"""Fixtures of all tests; each plugin starts real servers only when a test asks for one."""

import gc
import os
import sysconfig
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# storescu and storescp are dcmtk's here, also where the environment that holds pynetdicom's is activated.
_OURS = sysconfig.get_path("scripts")
_PATHS = os.environ["PATH"].split(os.pathsep)
os.environ["PATH"] = os.pathsep.join(sorted(_PATHS, key=lambda path: path == _OURS))

# How fast examples come says how busy the machine is.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

pytest_plugins = [
    "tests.support.requestors",
    "tests.support.ports",
    "tests.support.corpus",
    "tests.support.instances",
    "tests.support.stores",
    "tests.support.seaweed",
    "tests.support.azure",
    "tests.support.postgres",
    "tests.support.databases",
    "tests.support.nats",
]


#: Seconds after which a slow test counts as stuck, where it does not say so itself: the machine may be a slow one.
_STUCK = 900


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected stays to the end: no collection of garbage needs to look at it, then or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that take long begin first: none of them is left to one worker while the others have nothing to do."""
    slow = [item for item in items if item.get_closest_marker("slow")]
    for item in slow:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_STUCK))
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
