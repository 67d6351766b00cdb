"""Settings of dicom_ingest, read once from ``CAUSEWAY_…`` (docs/adr/0015). Times are seconds, sizes bytes."""

from typing import Self

from pydantic import model_validator

from services.dicom_ingest.config.commitment import Commitments
from services.dicom_ingest.config.limits import Limits
from services.dicom_ingest.config.listening import Listening
from services.dicom_ingest.config.spooling import Spooling
from services.dicom_ingest.config.steps import StepSettings
from services.dicom_ingest.config.stow import Stow
from shared.http.access import is_loopback


class Settings(StepSettings, Commitments, Stow, Spooling, Limits, Listening):
    """All of them."""

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
