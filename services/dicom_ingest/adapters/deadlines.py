"""Receiving with a deadline, at one system call for each piece.

Python's own timeouts cost three: one to set them, one to wait and one to read. Here the kernel waits (SO_RCVTIMEO), for
all of what is needed at once, and gives up every now and then so that we can look at the clock.
"""

import socket
import ssl
import struct
import time

_TIMEVAL = struct.Struct("@ll")


class Late(Exception):
    """The deadline passed."""


class Deadlines:
    """The receiving end of a connection. ``usual`` is how long it mostly waits, in seconds; sending waits no longer."""

    def __init__(self, connection: socket.socket, usual: float) -> None:
        self._socket = connection
        self._usual = self._set = usual
        # The kernel knows nothing of the records of TLS.
        self._by_kernel = not isinstance(connection, ssl.SSLSocket)
        if self._by_kernel:
            connection.settimeout(None)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(usual))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(usual))

    def receive(self, room: memoryview, deadline: float, *, whole: bool = False) -> int:
        """Fill ``room`` with what there is, or with all that it holds if ``whole``: how many bytes came, 0 at the end.

        ``deadline`` is a time of the monotonic clock; Late when it has passed, OSError when the connection broke. Fewer
        than all may be given before the deadline too.
        """
        while (remaining := deadline - time.monotonic()) > 0:
            try:
                if self._by_kernel:
                    self._wait_at_most(remaining)
                    return self._socket.recv_into(room, 0, socket.MSG_WAITALL if whole else 0)
                self._socket.settimeout(remaining)
                return self._socket.recv_into(room)
            except (BlockingIOError, TimeoutError):
                pass
        raise Late

    def _wait_at_most(self, remaining: float) -> None:
        wanted = min(remaining, self._usual)
        if wanted < self._set or self._set < self._usual / 2:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(wanted))
            self._set = wanted


def _timeval(seconds: float) -> bytes:
    microseconds = max(1000, int(seconds * 1_000_000))
    return _TIMEVAL.pack(microseconds // 1_000_000, microseconds % 1_000_000)
