"""Asks a server of this machine whether it lives: ``python probe.py PORT [PATH]``, for container health checks.

Exit status 0 for a 200, else 1. It stands alone, without a library, because it runs every few seconds.
"""

import http.client
import ssl
import sys

_TIMEOUT = 5.0


def status(port: int, path: str) -> int:
    """The HTTP status of ``path`` on loopback, over TLS when the server speaks it; OSError when nobody answers."""
    # The certificate names the service, not loopback; whoever holds this port inside this container is the service.
    context = ssl._create_unverified_context()  # noqa: S323
    try:
        return _ask(http.client.HTTPSConnection("127.0.0.1", port, timeout=_TIMEOUT, context=context), path)
    except ssl.SSLError:
        return _ask(http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT), path)


def _ask(connection: http.client.HTTPConnection, path: str) -> int:
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def main() -> int:
    """Ask as the arguments say."""
    port, path = int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "/livez"
    try:
        return 0 if status(port, path) == 200 else 1
    except (OSError, http.client.HTTPException):
        return 1


if __name__ == "__main__":
    sys.exit(main())
