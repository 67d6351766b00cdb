"""Settings of verification."""

from pathlib import Path

from pydantic import Field

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read once, from ``CAUSEWAY_…``."""

    database_url: str = "sqlite:////var/lib/causeway/verification.db"
    #: The targets of this site, and those that this process reads from: all of them when empty.
    targets_file: Path = Path("examples/targets.yaml")
    verification_targets: tuple[str, ...] = ()
    #: The records of study keys, for the day on which a target has lost one; and the keys that open them.
    keys_url: str = "file:///var/lib/causeway/keys"
    kek_dir: Path = Path(".causeway/keys/kek")

    #: Copies of one target that are read at a time.
    copies_at_once: int = Field(default=2, ge=1)
    #: Seconds after which a proof is made anew (30 days), and between two looks at what is due.
    reprove_after: float = Field(default=30 * 86400.0, gt=0)
    reprove_look_every: float = Field(default=60.0, gt=0)

    #: Seconds between two attempts to reach a target that is away: at first, and at most.
    breaker_first: float = Field(default=1.0, gt=0)
    breaker_longest: float = Field(default=60.0, gt=0)
