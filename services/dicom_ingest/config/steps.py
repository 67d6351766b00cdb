"""Reports on performed procedure steps (MPPS, PS3.4 annex F; docs/operations/mpps.md)."""

from typing import Literal

from pydantic import Field

from shared.settings import ServiceSettings


class StepSettings(ServiceSettings):
    """Whether modalities may report what they do to us."""

    #: ``relay``: the RIS, a destination of forwarding, decides. ``own``: we do.
    mpps: Literal["off", "relay", "own"] = "off"
    #: How long a step and its reports are kept after the last one.
    mpps_keep_days: float = Field(default=90.0, gt=0)
