"""TLS as a server of clinical protocols: the BCP 195 profiles (PS3.15 sections B.12 and B.13; RFC 8996, RFC 9325).

TLS 1.2 with ephemeral elliptic curves and authenticated encryption only, and TLS 1.3 with what OpenSSL offers by
default, which has all but the CCM suites.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path

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


def server_context(files: TlsFiles, *, mutual: bool) -> ssl.SSLContext:
    """What a handshake may end in; OSError (ssl.SSLError) when a file cannot be used.

    ``mutual``: a client must show a certificate, else it may.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_TLS_1_2_SUITES)
    # Older Pythons take a connection that was cut for one that was closed, and tell nobody.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.load_cert_chain(files.certificate, files.key, password=_no_password)
    if files.client_ca is not None:
        context.load_verify_locations(files.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_OPTIONAL
    return context


def _no_password() -> str:
    """OpenSSL would ask at a terminal for that of an encrypted key."""
    return ""
