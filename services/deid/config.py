"""Settings of deid."""

from pathlib import Path

from pydantic import Field

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read once, from ``CAUSEWAY_…``."""

    database_url: str = "sqlite:////var/lib/causeway/deid.db"
    #: Where the originals lie as received, and what de-identification makes of them; both on site.
    landing_url: str = "file:///var/lib/causeway/landing"
    deid_url: str = "file:///var/lib/causeway/deid"
    #: One file ``<project>.key`` of mode 0600 for each project; made with its first pack. Whoever has it can join the
    #: project's pseudonyms to originals: it belongs on storage that is backed up and that no copy goes to.
    project_key_dir: Path = Path(".causeway/keys/projects")
    #: One file ``<project>.yaml`` for each project that has a profile of its own; the others get the Basic Profile.
    profile_dir: Path | None = None
    #: A plug-in that finds names in free text, ``module:object`` of an installed package; none when not set.
    recognizer: str | None = None
    #: Files at work; gone after a crash. The system's folder for temporary files when not set.
    work_dir: Path | None = None

    #: For originals whose landing archive is released: proven copies, study keys, key-encryption keys.
    targets_file: Path = Path("examples/targets.yaml")
    keys_url: str = "file:///var/lib/causeway/keys"
    kek_dir: Path = Path(".causeway/keys/kek")

    #: Days that a withheld original waits for somebody to decide; then it is rejected. Not set: for ever.
    quarantine_days: int | None = Field(default=None, ge=1)

    #: A site's own devices that burn text into their pictures, in the form of domain/tables/devices.yaml.
    devices_file: Path | None = None
    #: Bytes that a process which decodes and examines pictures may map, and seconds of CPU for one frame.
    pictures_memory: int = Field(default=4 << 30, ge=1 << 30)
    pictures_seconds: int = Field(default=120, ge=1)

    #: Packs de-identified at a time; each takes up to 110 MB of memory beside the service's own.
    packs_at_once: int = Field(default=1, ge=1)

    #: Names of token holders (docs/operations/identity.md) who may ask for identities; every holder where it is empty.
    identity_readers: tuple[str, ...] = ()
