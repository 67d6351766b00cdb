"""A site with a port for DICOM over TLS, and clients that it knows."""

import socket
import ssl
from hashlib import sha256
from typing import Any

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import CTImageStorage, Verification

from tests.integration.dicom_ingest.peers import EXPLICIT
from tests.integration.dicom_ingest.site import IngestSite
from tests.support.certificates import Authority, Issued
from tests.support.ports import free_ports


class Secured:
    """A site with a TLS port, its authority, and a client that the authority knows."""

    def __init__(self, site: IngestSite) -> None:
        self.site, (self.port,) = site, free_ports(1)
        self.authority = Authority(site.folder)
        self.server = self.authority.issue("localhost")
        self.client = self.authority.issue("ct1.hospital.example")

    def start(self, **settings: Any) -> None:
        files = {"cert": self.server.certificate, "key": self.server.key, "client_ca": self.authority.path}
        tls = {f"dicom_tls_{name}": path for name, path in files.items()}
        self.site.start(dicom_tls_port=self.port, **{**tls, **settings})

    def context(self, shown: Issued | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority.path))
        if shown is not None:
            context.load_cert_chain(shown.certificate, shown.key)
        return context

    def associate(self, shown: Issued | None, ae_title: str = "CT1") -> Association:
        entity = AE(ae_title=ae_title)
        entity.add_requested_context(Verification)
        entity.add_requested_context(CTImageStorage, EXPLICIT)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 20
        return entity.associate("localhost", self.port, tls_args=(self.context(shown), "localhost"))

    def handshake(self, context: ssl.SSLContext) -> bytes:
        """The digest of the certificate that the server shows; SSLError, OSError."""
        with (
            socket.create_connection(("localhost", self.port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            connection.settimeout(10)
            encoded = connection.getpeercert(binary_form=True)
            # In TLS 1.3 a client has finished before the server has looked at its certificate.
            connection.sendall(bytes((5, 0, 0, 0, 0, 4, 0, 0, 0, 0)))
            connection.recv(1)
            return sha256(encoded or b"").digest()
