"""Settings of forwarding."""

from pathlib import Path

from pydantic import Field

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read once, from ``CAUSEWAY_…``."""

    database_url: str = "sqlite:////var/lib/causeway/forwarding.db"
    #: Who gets what. Without the file nothing is passed on.
    destinations_file: Path = Path("examples/destinations.yaml")
    #: Where what arrived lies as received.
    landing_url: str = "file:///var/lib/causeway/landing"
    #: Where the catalogue tells which instances a study has.
    summaries_url: str = "file:///var/lib/causeway/summaries"

    #: For batches whose landing archive is released: proven copies, study keys, key-encryption keys.
    targets_file: Path = Path("examples/targets.yaml")
    keys_url: str = "file:///var/lib/causeway/keys"
    kek_dir: Path = Path(".causeway/keys/kek")

    #: Seconds between two attempts to reach a destination that is away: at first, and at most.
    breaker_first: float = Field(default=1.0, gt=0)
    breaker_longest: float = Field(default=60.0, gt=0)
    #: Seconds after which a decision of an operator that another process heard is noticed.
    look_every: float = Field(default=1.0, gt=0)

    #: Bytes that the process may map that puts instances into another transfer syntax for a destination, and seconds of
    #: CPU that it has for one.
    decompress_memory: int = Field(default=768 * 1024**2, ge=512 * 1024**2)
    decompress_seconds: int = Field(default=600, ge=1)
