"""Settings of encryption."""

from pathlib import Path

from pydantic import Field

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read once, from ``CAUSEWAY_…``."""

    #: Where the plain bytes lie that are to be sealed: as received, and de-identified.
    landing_url: str = "file:///var/lib/causeway/landing"
    deid_url: str = "file:///var/lib/causeway/deid"
    #: The sealing buffer, and the records of study keys.
    sealed_url: str = "file:///var/lib/causeway/sealed"
    keys_url: str = "file:///var/lib/causeway/keys"
    #: Key-encryption keys, one file of mode 0600 for each key domain; made when missing.
    kek_dir: Path = Path(".causeway/keys/kek")
    #: The targets, from which a pack is read whose plain bytes are released; without it such a pack stays as it is.
    targets_file: Path | None = None

    #: Packs sealed at a time; each holds one part of at most 64 MiB in memory.
    packs_at_once: int = Field(default=1, ge=1)
