"""Where instances lie until they are landed, and when batches are done."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from shared.settings import ServiceSettings

_MIB = 1024 * 1024


class Spooling(ServiceSettings):
    """Spool, landing store and batches."""

    #: The spool lies on a disk that outlives the process; the landing store may be elsewhere.
    spool_dir: Path = Path("/var/lib/causeway/spool")
    #: What spool and landing store lie on; must be said where modalities reach us (docs/adr/0010).
    spool_storage: Literal["redundant", "single-disk"] | None = None
    landing_url: str = "file:///var/lib/causeway/landing"
    #: Batches that are brought to the landing store at a time; of those over 4 MiB, one.
    landing_workers: int = Field(default=4, ge=1, le=16)
    #: Processes that read what arrived, and what each of them may map, bytes.
    landing_processes: int = Field(default=1, ge=1, le=16)
    landing_memory: int = Field(default=1024 * _MIB, ge=256 * _MIB)
    #: Of processor time for one instance, besides a second for each 16 MiB: one that takes more, or five times as long
    #: by the clock, is stored unread.
    landing_seconds: float = Field(default=60.0, gt=0)
    #: While more than this waits to be landed, bytes, each answer is delayed by up to 20 ms.
    landing_backlog: int = Field(default=4096 * _MIB, ge=64 * _MIB)

    batch_bytes: int = Field(default=64 * _MIB, ge=_MIB, le=64 * _MIB)
    batch_instances: int = Field(default=512, ge=1)
    batch_quiet: float = Field(default=1.0, gt=0)
    batch_quiet_after_end: float = Field(default=0.25, gt=0)
    max_open_batches: int = Field(default=128, ge=1)

    #: Refuse (A700) while free < reserve + factor x what waits in the spool.
    disk_reserve: int = Field(default=1024 * _MIB, ge=0)
    disk_factor: float = Field(default=2.0, ge=0)
