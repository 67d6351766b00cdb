"""Services forked from a process that has imported them: an import takes a second of a processor, at each start.

A server for each factory and test process, started when first asked. For each start it forks a guardian, and that the
service, which begins as ``python -m shared.service`` does; the guardian tells its pid, and how it ended.
"""

import atexit
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

_NUMBER = struct.Struct("@i")
_LONGEST = 1 << 20


class Forked:
    """What tests use of a ``subprocess.Popen``, of a process that is another's child."""

    def __init__(self, told: BinaryIO, command: str) -> None:
        self._told = told
        self.args = [command]
        (self.pid,) = _NUMBER.unpack(told.read(_NUMBER.size))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit status; TimeoutExpired after so many seconds."""
        status = self._look(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        """Nothing happens when it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._told], [], [], timeout)[0]:
            (status,) = _NUMBER.unpack(self._told.read(_NUMBER.size))
            self.returncode = os.waitstatus_to_exitcode(status)
            self._told.close()
        return self.returncode


class _Server:
    def __init__(self, factory: str) -> None:
        self._factory = factory
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", __name__, factory, str(theirs.fileno())]
        root = Path(__file__).parents[2]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], cwd=root)
        theirs.close()
        atexit.register(self._control.close)

    def start(self, environment: Mapping[str, str], folder: Path, log: BinaryIO) -> Forked:
        told, telling = os.pipe()
        request = json.dumps([dict(environment), str(folder)]).encode()
        socket.send_fds(self._control, [request], [log.fileno(), telling])
        os.close(telling)
        return Forked(os.fdopen(told, "rb", buffering=0), self._factory)


_server = cache(_Server)


def start(factory: str, environment: Mapping[str, str], folder: Path, log: BinaryIO) -> Forked:
    """``python -m shared.service factory`` with this environment, in ``folder``, its output in ``log``."""
    return _server(factory).start(environment, folder, log)


def main() -> int:
    """Fork until the other end is closed; in a service, its exit status."""
    from shared.service.running import factory, run

    build, control = factory(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))
    # Guardians are nobody's worry: the kernel buries them. A service waits for its own children.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        request, (*handles,), _flags, _address = socket.recv_fds(control, _LONGEST, 2)
        if not request:
            return 0
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            control.close()
            log, telling = handles
            if _guard(telling):
                _begin(*json.loads(request), log)
                return run(build())
        for handle in handles:
            os.close(handle)


def _guard(telling: int) -> bool:
    """True in the service; its guardian stays here until that has ended."""
    service = os.fork()
    if service == 0:
        os.close(telling)
        return True
    # The test may be over before its service is.
    with suppress(BrokenPipeError):
        os.write(telling, _NUMBER.pack(service))
        os.write(telling, _NUMBER.pack(os.waitpid(service, 0)[1]))
    os._exit(0)


def _begin(environment: dict[str, str], folder: str, log: int) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)


if __name__ == "__main__":
    sys.exit(main())
