"""Settings of replication."""

from pathlib import Path

from pydantic import Field

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read once, from ``CAUSEWAY_…``."""

    #: Where encryption leaves sealed packs, and the study keys' records.
    sealed_url: str = "file:///var/lib/causeway/sealed"
    keys_url: str = "file:///var/lib/causeway/keys"
    #: The targets of this site.
    targets_file: Path = Path("examples/targets.yaml")
    #: The targets that this process writes to, by name; all of them when empty.
    replication_targets: tuple[str, ...] = ()

    #: Packs that one target takes at a time, and parts of one pack.
    packs_at_once: int = Field(default=4, ge=1)
    parts_at_once: int = Field(default=4, ge=1)
    #: Bytes of parts in memory: of one target, and of all of them. One part always fits.
    target_bytes_in_flight: int = Field(default=64 * 1024 * 1024, ge=1)
    bytes_in_flight: int = Field(default=128 * 1024 * 1024, ge=1)

    #: Seconds between two attempts to reach a target that is away: at first, and at most.
    breaker_first: float = Field(default=1.0, gt=0)
    breaker_longest: float = Field(default=60.0, gt=0)
