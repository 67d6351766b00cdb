"""Settings of dicom_ingest."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from shared.http.access import is_loopback
from shared.settings import ServiceSettings

_MIB = 1024 * 1024


class Settings(ServiceSettings):
    """Read once, from ``CAUSEWAY_…``. Times are seconds, sizes bytes."""

    #: Where modalities send to. Port 0 takes a free one.
    dicom_host: str = "127.0.0.1"
    dicom_port: int = Field(default=11112, ge=0, le=65535)
    #: ``fast`` is our own loop (docs/adr/0006), ``standard`` pynetdicom's.
    dicom_receiver: Literal["fast", "standard"] = "fast"
    #: AE titles that are answered, and that may call; empty: any (PS3.8 section 9.3.2).
    dicom_called_aes: frozenset[str] = frozenset()
    dicom_calling_aes: frozenset[str] = frozenset()
    #: Several processes may share the port (SO_REUSEPORT); each has a spool directory of its own.
    dicom_shared_port: bool = False

    #: The spool lies on a disk that outlives the process; the landing store may be elsewhere.
    spool_dir: Path = Path("/var/lib/causeway/spool")
    #: What spool and landing store lie on; must be said where modalities reach us (docs/adr/0010).
    spool_storage: Literal["redundant", "single-disk"] | None = None
    landing_url: str = "file:///var/lib/causeway/landing"
    #: Batches that are brought to the landing store at a time; of those over 4 MiB, one.
    landing_workers: int = Field(default=4, ge=1, le=16)

    batch_bytes: int = Field(default=64 * _MIB, ge=_MIB, le=64 * _MIB)
    batch_instances: int = Field(default=512, ge=1)
    batch_quiet: float = Field(default=1.0, gt=0)
    batch_quiet_after_end: float = Field(default=0.25, gt=0)
    max_open_batches: int = Field(default=128, ge=1)

    #: Refuse (A700) while free < reserve + factor x what waits in the spool.
    disk_reserve: int = Field(default=1024 * _MIB, ge=0)
    disk_factor: float = Field(default=2.0, ge=0)
    max_instance: int = Field(default=4096 * _MIB, ge=1)

    max_associations: int = Field(default=64, ge=1)
    max_associations_per_address: int = Field(default=32, ge=1)
    #: An A-ASSOCIATE of 128 contexts with a dozen syntaxes each is legitimate.
    max_associate_pdu: int = Field(default=_MIB, ge=4096)
    max_pdu: int = Field(default=256 * 1024, ge=4096, le=_MIB)
    artim: float = Field(default=30.0, gt=0)
    pdu_header_deadline: float = Field(default=5.0, gt=0)
    idle_timeout: float = Field(default=60.0, gt=0)
    min_throughput: int = Field(default=16 * 1024, ge=1)
    drain_grace: float = Field(default=10.0, ge=0)

    #: Who issues patient ids and accession numbers where a header names nobody.
    patient_issuer: str = ""
    order_issuer: str = ""

    #: For tests of crashes: ``step:n`` ends the process when a step is passed for the n-th time.
    crash_at: str | None = None

    @model_validator(mode="after")
    def _storage_is_told(self) -> Self:
        """Nobody finds out by the loss of a disk that there was only one."""
        if self.spool_storage is None and not is_loopback(self.dicom_host):
            raise ValueError(
                "outside loopback say what the spool lies on: CAUSEWAY_SPOOL_STORAGE=redundant|single-disk"
            )
        return self
