"""Free ports on loopback, each given to one test process at a time."""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

import pytest

#: Below the ports that the kernel gives to clients, and below those of sites (cli.embedded.ports.free_base).
_LOWEST, _HIGHEST = 10_000, 19_999

#: One locked file for each port that this process was given; the locks end with the process.
_taken: list[int] = []


def free_ports(count: int) -> list[int]:
    """``count`` different ports that nobody listens on, and that no other test process is given meanwhile."""
    found: list[int] = []
    while len(found) < count:
        port = random.randint(_LOWEST, _HIGHEST)
        if port not in found and _claim(port) and _is_free(port):
            found.append(port)
    return found


def _claim(port: int) -> bool:
    folder = Path(tempfile.gettempdir()) / "causeway-test-ports"
    folder.mkdir(exist_ok=True)
    handle = os.open(folder / str(port), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return False
    _taken.append(handle)
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on now."""
    return free_ports(1)[0]
