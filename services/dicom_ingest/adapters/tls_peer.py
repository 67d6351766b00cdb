"""What a TLS client has shown of itself."""

import hashlib
import socket
import ssl
from typing import Any

from services.dicom_ingest.domain.peers import Certificate


def certificate_of(connection: socket.socket) -> Certificate | None:
    """The client's certificate, verified in the handshake; None on a plain connection, and where it showed none."""
    if not isinstance(connection, ssl.SSLSocket):
        return None
    encoded: bytes | None = connection.getpeercert(binary_form=True)
    told: dict[str, Any] | None = connection.getpeercert()
    if not encoded or not told:
        return None
    subject = frozenset((str(name), str(value)) for part in told.get("subject", ()) for name, value in part)
    names = frozenset(str(value).lower() for kind, value in told.get("subjectAltName", ()) if kind == "DNS")
    return Certificate(hashlib.sha256(encoded).hexdigest(), subject, names)
