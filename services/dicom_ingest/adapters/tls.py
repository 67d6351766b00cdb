"""DICOM over TLS: the BCP 195 profiles (PS3.15 sections B.12 and B.13), as a server."""

import contextlib
import socket
import ssl

from shared.tls import TlsFiles, server_context
from shared.watched import Watched


class TlsPort:
    """Wraps accepted connections; the files are read again when they change, and open associations do not mind."""

    def __init__(self, files: TlsFiles, *, mutual: bool, deadline: float) -> None:
        """``mutual``: a client must show a certificate, else it may; ``deadline`` is for a handshake, seconds.

        OSError when a file cannot be used.
        """
        self._deadline = deadline
        self._context = Watched("certificates", files.paths(), lambda: server_context(files, mutual=mutual))

    def secure(self, connection: socket.socket) -> ssl.SSLSocket:
        """The connection after the handshake, in place of ``connection``; OSError, and then it is closed."""
        connection.settimeout(self._deadline)
        secured = self._context.get().wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        try:
            # OpenSSL is asked again and again until the deadline, which is that of the handshake and not of a read.
            secured.do_handshake()
        except BaseException:
            with contextlib.suppress(OSError):
                secured.close()
            raise
        return secured

    def refresh(self) -> None:
        """Take notice of changed files although nobody calls."""
        self._context.get()
