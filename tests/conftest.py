"""Fixtures of all tests; each plugin starts real servers only when a test asks for one."""

pytest_plugins = [
    "tests.support.ports",
    "tests.support.corpus",
    "tests.support.instances",
    "tests.support.stores",
    "tests.support.seaweed",
    "tests.support.azure",
    "tests.support.postgres",
    "tests.support.nats",
]
