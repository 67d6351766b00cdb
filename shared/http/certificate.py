"""TLS of the HTTP server: each handshake shows the certificate that the files hold then."""

import ssl
from pathlib import Path

from shared.tls import TlsFiles, server_context
from shared.watched import Watched


def renewing_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context that turns to the files at each handshake; files that cannot be used leave what was.

    OSError (ssl.SSLError) when they cannot be used from the beginning.
    """
    files = TlsFiles(certificate, key, None)
    current = Watched("certificates", files.paths(), lambda: server_context(files, mutual=False))

    def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = current.get()

    first = server_context(files, mutual=False)
    # OpenSSL asks at every ClientHello, also where that names no server (RFC 6066 section 3).
    first.sni_callback = choose
    return first
