"""Where modalities send to, and who may."""

from pathlib import Path
from typing import Literal

from pydantic import Field

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
