"""Storage commitment (PS3.4 annex J)."""

from pydantic import Field

from shared.settings import ServiceSettings


class Commitments(ServiceSettings):
    """Where peers are told of what was committed."""

    #: ``AE=host:port,…``, for peers that the registry gives no ``call_back`` and that have their AE title alone.
    commitment_callbacks: str = ""
    #: A peer that is not reached is tried for so long; then the report is shown as undelivered.
    commitment_report_days: float = Field(default=3.0, gt=0)
