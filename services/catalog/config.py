"""The catalogue's settings, read once from the environment."""

from pathlib import Path

from pydantic import Field

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """``CAUSEWAY_STUDY_QUIET`` and so on."""

    database_url: str = "sqlite:///catalog.sqlite3"
    landing_url: str = "file:///var/lib/causeway/landing"
    deid_url: str = "file:///var/lib/causeway/deid"
    summaries_url: str = "file:///var/lib/causeway/summaries"
    targets_file: Path | None = None
    #: Who issues patient ids that name nobody; the same as for those who receive images and messages.
    patient_issuer: str = ""

    #: Seconds without a new instance after which a study is complete.
    study_quiet: float = 120.0
    #: The same by calling AE title, as a JSON object, for sources that pause longer (or never). It counts more than
    #: the AE registry (``quiet`` in peers.yaml of dicom_ingest), which comes with each batch.
    study_quiet_by_source: dict[str, float] = Field(default_factory=dict)
    #: Seconds between two looks at what is due.
    study_look_every: float = 0.5
