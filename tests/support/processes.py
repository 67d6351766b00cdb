"""A real server as a child process: started, waited for, frozen, killed, started again."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from tests.support import warm

ROOT = Path(__file__).resolve().parents[2]


class ServerProcess:
    """``command`` with its output in ``log``; ready when ``ready()`` is true."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        ready: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
        folder: Path | None = None,
    ) -> None:
        self._command = list(command)
        self._log = log
        self._ready = ready
        self._environment = {**os.environ, **(environment or {})}
        self._user = user
        self._folder = folder
        self.process: subprocess.Popen[bytes] | warm.Forked | None = None

    def start(self, timeout: float = 60) -> None:
        """Start and wait until ready; AssertionError with the end of the log otherwise."""
        with self._log.open("ab") as log:
            self.process = self._begin(log)
        deadline = time.monotonic() + timeout
        while not self._ready():
            assert self.process.poll() is None, f"{self._command[0]} ended: {self._tail()}"
            assert time.monotonic() < deadline, f"{self._command[0]} is not ready: {self._tail()}"
            time.sleep(0.1)

    def _begin(self, log: BinaryIO) -> subprocess.Popen[bytes] | warm.Forked:
        return subprocess.Popen(
            self._command, stdout=log, stderr=log, env=self._environment, user=self._user, cwd=self._folder
        )

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it and wait; SIGKILL when it takes more than 15 s. Quiet when it runs no more."""
        if self.process is None or self.process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(how)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def kill(self) -> None:
        """SIGKILL: what a power cut does to the process."""
        self.stop(signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP: it accepts connections and never answers. Every thread has stopped when this returns."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def thaw(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]


class ServiceProcess(ServerProcess):
    """A service of ours by its factory, ``package.module:build``; forked unless it is to be ``cold``."""

    def __init__(
        self,
        factory: str,
        *,
        log: Path,
        ready: Callable[[], bool],
        environment: Mapping[str, str],
        folder: Path,
        cold: bool = False,
    ) -> None:
        paths = {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "shared.service", factory]
        super().__init__(command, log=log, ready=ready, environment={**environment, **paths}, folder=folder)
        self._factory, self._cold = factory, cold

    def _begin(self, log: BinaryIO) -> subprocess.Popen[bytes] | warm.Forked:
        if self._cold or self._folder is None:
            return super()._begin(log)
        return warm.start(self._factory, self._environment, self._folder, log)
