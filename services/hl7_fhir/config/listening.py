"""Where the RIS sends to, and who may."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from services.hl7_fhir.config.secured import check_tls
from shared.settings import ServiceSettings


class Listening(ServiceSettings):
    """The MLLP ports and their senders."""

    #: MLLP; port 0 takes a free one. It has no authentication: outside loopback keep it in a network of its own.
    mllp_host: str = "127.0.0.1"
    mllp_port: int = Field(default=2575, ge=0, le=65535)
    mllp_connections: Annotated[int, Field(gt=0)] = 256
    #: Seconds that a connection may be silent between messages, and that one message may take to arrive.
    mllp_idle_timeout: Annotated[float, Field(gt=0)] = 3600.0
    mllp_message_timeout: Annotated[float, Field(gt=0)] = 60.0

    #: A second port, for MLLP over TLS (BCP 195): PEM files, read again when they change.
    mllp_tls_port: int | None = Field(default=None, ge=0, le=65535)
    mllp_tls_cert: Path | None = None
    mllp_tls_key: Path | None = None
    #: Who signs the certificates of clients, which must show one; without ``mutual`` they may.
    mllp_tls_client_ca: Path | None = None
    mllp_tls_mutual: bool = True

    #: The registry of senders (examples/senders.yaml), read again when it changes; without it everybody may send.
    senders_file: Path | None = None

    @model_validator(mode="after")
    def _mllp_tls_is_complete(self) -> Self:
        files = (self.mllp_tls_cert, self.mllp_tls_key, self.mllp_tls_client_ca)
        check_tls("CAUSEWAY_MLLP_TLS", self.mllp_tls_port, files, self.mllp_tls_mutual)
        return self
