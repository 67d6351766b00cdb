"""Where modalities send to, and who may."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from shared.settings import ServiceSettings


class Listening(ServiceSettings):
    """The DICOM port and its peers."""

    #: Port 0 takes a free one.
    dicom_host: str = "127.0.0.1"
    dicom_port: int = Field(default=11112, ge=0, le=65535)
    #: ``fast`` is our own loop (docs/adr/0006), ``standard`` pynetdicom's.
    dicom_receiver: Literal["fast", "standard"] = "fast"
    #: Several processes may share the port (SO_REUSEPORT); each has a spool directory of its own.
    dicom_shared_port: bool = False

    #: The AE registry (examples/peers.yaml), read again when it changes; without it everybody may send everything.
    peers_file: Path | None = None
    #: AE titles that are answered, and that may call; empty: any (PS3.8 section 9.3.2). They hold beside the registry.
    dicom_called_aes: frozenset[str] = frozenset()
    dicom_calling_aes: frozenset[str] = frozenset()

    #: A second port, for DICOM over TLS (PS3.15 sections B.12, B.13): PEM files, read again when they change.
    dicom_tls_port: int | None = Field(default=None, ge=0, le=65535)
    dicom_tls_cert: Path | None = None
    dicom_tls_key: Path | None = None
    #: Who signs the certificates of clients, which must show one; without ``mutual`` they may.
    dicom_tls_client_ca: Path | None = None
    dicom_tls_mutual: bool = True

    @model_validator(mode="after")
    def _tls_is_complete(self) -> Self:
        """A port that seems to be mutual and is not would be worse than none."""
        if self.dicom_tls_port is None:
            return self
        if self.dicom_tls_cert is None or self.dicom_tls_key is None:
            raise ValueError("CAUSEWAY_DICOM_TLS_PORT needs CAUSEWAY_DICOM_TLS_CERT and CAUSEWAY_DICOM_TLS_KEY")
        if self.dicom_tls_mutual and self.dicom_tls_client_ca is None:
            raise ValueError("mutual TLS needs CAUSEWAY_DICOM_TLS_CLIENT_CA; or set CAUSEWAY_DICOM_TLS_MUTUAL=false")
        return self
