"""How long things are kept, and how much of what nobody asked for."""

from datetime import timedelta

from pydantic import Field

from shared.settings import ServiceSettings


class Keeping(ServiceSettings):
    """Days and bytes."""

    #: Days for which the bytes of a message are kept, unless it still waits to be mapped or for a receiver.
    hl7_keep_days: int = Field(default=3653, ge=1)
    #: Days, at least those, for which it is known that a message came: until then a repeat is known as one, and its
    #: Provenance tells what it changed.
    hl7_forget_days: int = Field(default=3653, ge=1)
    #: Bytes that messages refused for their content (AE) may take up: those of one sender at one address, and all.
    hl7_refused_each: int = Field(default=1024**3, ge=0)
    hl7_refused_together: int = Field(default=4 * 1024**3, ge=0)
    #: Days for which a version of a FHIR resource is kept after a newer one took its place; without: for ever.
    fhir_versions_days: int | None = Field(default=None, ge=1)

    @property
    def forget(self) -> timedelta:
        """How long it is known that a message came."""
        return timedelta(days=max(self.hl7_keep_days, self.hl7_forget_days))
