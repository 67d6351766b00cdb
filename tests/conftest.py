"""Fixtures of all tests; each plugin starts real servers only when a test asks for one."""

from importlib.util import find_spec

pytest_plugins = [
    plugin
    for plugin in (
        "tests.support.ports",
        "tests.support.corpus",
        "tests.support.instances",
        "tests.support.stores",
        "tests.support.seaweed",
        "tests.support.postgres",
        "tests.support.nats",
    )
    if find_spec(plugin)
]
