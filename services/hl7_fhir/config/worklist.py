"""Settings of scheduled steps and of the worklist. Times are seconds."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from services.hl7_fhir.config.secured import check_tls
from services.hl7_fhir.domain.worklist.dicom_text import CODECS
from services.hl7_fhir.domain.worklist.step_state import State
from shared.settings import ServiceSettings

AeTitle = Annotated[str, Field(pattern=r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$")]


class WorklistSettings(ServiceSettings):
    """The RIS usually has a worklist of its own: without a port there is none here."""

    #: Whether orders become scheduled steps and Tasks.
    scheduled_steps: bool = True
    #: Orders without a step that changed within so many days are looked at again when the service starts: they may have
    #: come before this was switched on, or before a setting below says of them what they do not.
    scheduled_steps_days: int = Field(default=183, ge=0)
    #: AE titles of the stations by modality, for orders that name no station; without: any station of the modality.
    scheduled_stations: dict[str, tuple[AeTitle, ...]] = Field(default_factory=dict)
    #: The modality of orders that name none; empty: they are no imaging orders.
    scheduled_modality: Annotated[str, Field(max_length=16)] = ""
    #: ``<ORC-1>_<ORC-5>`` to a state such as ARRIVED, where the RIS says more than the standard's codes.
    scheduled_states: dict[str, State] = Field(default_factory=dict)

    #: Where ``dicom_ingest`` keeps the reports of modalities (MPPS), which name the steps that they fulfil; without it
    #: all steps of the studies that they name are moved.
    landing_url: str | None = None

    #: DICOM; port 0 takes a free one. Outside loopback keep the plain port in a network of its own.
    worklist_host: str = "127.0.0.1"
    worklist_port: int | None = Field(default=None, ge=0, le=65535)
    #: A port for DICOM over TLS (PS3.15 section B.12), beside the plain one or alone: PEM files, read again when they
    #: change.
    worklist_tls_port: int | None = Field(default=None, ge=0, le=65535)
    worklist_tls_cert: Path | None = None
    worklist_tls_key: Path | None = None
    #: Who signs the certificates of modalities, which must show one; without ``mutual`` they may.
    worklist_tls_client_ca: Path | None = None
    worklist_tls_mutual: bool = True
    worklist_title: AeTitle = "CAUSEWAY"
    #: AE titles that may ask; empty: anybody.
    worklist_callers: tuple[AeTitle, ...] = ()
    worklist_associations: Annotated[int, Field(gt=0)] = 64
    #: How long an association may be silent, a handshake and a greeting may take, a request to arrive, an answer to be
    #: read.
    worklist_idle_timeout: Annotated[float, Field(gt=0)] = 60.0
    worklist_greeting_timeout: Annotated[float, Field(gt=0)] = 10.0
    worklist_message_timeout: Annotated[float, Field(gt=0)] = 30.0
    #: Answers to one query; more end with A700.
    worklist_most: Annotated[int, Field(gt=0)] = 10_000
    #: How long a step that is done stays on the list.
    worklist_keep: Annotated[float, Field(ge=0)] = 3600.0
    #: Specific Character Set by preference, where a value needs more than ASCII; the last resort is ISO_IR 192.
    worklist_charsets: tuple[str, ...] = tuple(CODECS)

    @field_validator("worklist_charsets")
    @classmethod
    def _are_known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := set(names) - set(CODECS):
            raise ValueError(f"{len(unknown)} of them cannot be written")
        return names

    @model_validator(mode="after")
    def _worklist_tls_is_complete(self) -> Self:
        files = (self.worklist_tls_cert, self.worklist_tls_key, self.worklist_tls_client_ca)
        check_tls("CAUSEWAY_WORKLIST_TLS", self.worklist_tls_port, files, self.worklist_tls_mutual)
        return self
