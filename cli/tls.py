"""TLS as a client of DICOM: the BCP 195 profiles (PS3.15 sections B.12 and B.13; RFC 9325)."""

import socket
import ssl
from pathlib import Path


def client_context(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """What a handshake may end in: TLS 1.2 or later, with a server whose certificate is valid for its name.

    ``ca`` says who signs certificates of servers, without it the system's authorities do; ``certificate`` and ``key``
    prove us. All PEM. OSError (ssl.SSLError) when a file cannot be used.
    """
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        context.load_cert_chain(certificate, key, password=_no_password)
    return context


def secured(plain: socket.socket, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    """The connection after the handshake, in place of ``plain``; OSError, and then it is closed."""
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except BaseException as error:
        plain.close()
        # A refused certificate is a ValueError too.
        if isinstance(error, ValueError) and not isinstance(error, OSError):
            raise OSError("no name that a certificate could be for") from None
        raise


def reason(error: OSError) -> str:
    """Why a connection failed, in words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {error.verify_message.rstrip('.')}"
    if isinstance(error, ssl.SSLEOFError):
        # In TLS 1.3 the reason may come after the handshake, and be lost when we are sending already.
        return "TLS: it hung up; perhaps there is a certificate required (--cert)"
    if isinstance(error, ssl.SSLError) and error.reason:
        return f"TLS: {error.reason.replace('_', ' ').lower()}"
    return error.strerror or str(error)


def is_final(error: OSError) -> bool:
    """Whether another attempt would end alike: certificates and versions do not change by themselves."""
    return isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)


def _no_password() -> str:
    """OpenSSL would ask at a terminal for that of an encrypted key."""
    return ""
