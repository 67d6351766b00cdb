"""DICOM over TLS: the BCP 195 profiles (PS3.15 sections B.12 and B.13; RFC 8996, RFC 9325), as a server.

TLS 1.2 with ephemeral elliptic curves and authenticated encryption only, and TLS 1.3 with what OpenSSL offers by
default, which has all but the CCM suites.
"""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from services.dicom_ingest.adapters.watched import Watched

_TLS_1_2_SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20"


@dataclass(frozen=True)
class TlsFiles:
    """PEM files: our certificate with its chain, its key, and who signs the certificates of clients."""

    certificate: Path
    key: Path
    client_ca: Path | None

    def paths(self) -> tuple[Path, ...]:
        """All of them."""
        return tuple(path for path in (self.certificate, self.key, self.client_ca) if path is not None)


class TlsPort:
    """Wraps accepted connections; the files are read again when they change, and open associations do not mind."""

    def __init__(self, files: TlsFiles, *, mutual: bool, deadline: float) -> None:
        """``mutual``: a client must show a certificate, else it may; ``deadline`` is for a handshake, seconds.

        OSError when a file cannot be used.
        """
        self._deadline = deadline
        self._context = Watched("certificates", files.paths(), lambda: server_context(files, mutual=mutual))

    def take(self, connection: socket.socket) -> ssl.SSLSocket:
        """What stands for ``connection`` from now on, before the handshake; OSError, and then it is closed."""
        connection.settimeout(self._deadline)
        return self._context.get().wrap_socket(connection, server_side=True, do_handshake_on_connect=False)

    def refresh(self) -> None:
        """Take notice of changed files although nobody calls."""
        self._context.get()


def server_context(files: TlsFiles, *, mutual: bool) -> ssl.SSLContext:
    """What a handshake may end in; OSError (ssl.SSLError) when a file cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_TLS_1_2_SUITES)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.load_cert_chain(files.certificate, files.key, password=_no_password)
    if files.client_ca is not None:
        context.load_verify_locations(files.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_OPTIONAL
    return context


def _no_password() -> str:
    """OpenSSL would ask at a terminal for that of an encrypted key."""
    return ""
