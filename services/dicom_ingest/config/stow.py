"""What one store request over HTTP may ask of us; times and the largest instance are those of associations."""

from pydantic import Field

from shared.settings import ServiceSettings

_MIB = 1024 * 1024


class Stow(ServiceSettings):
    """STOW-RS (PS3.18 section 10.5)."""

    #: At a time; further ones wait, and are answered 503 while all of these get on.
    stow_max_requests: int = Field(default=16, ge=1)
    #: Of each part there remain some 300 bytes until the answer.
    stow_max_parts: int = Field(default=50_000, ge=1)
    #: Bytes of one header line of a part.
    stow_max_header: int = Field(default=4096, ge=128)
    stow_max_request: int = Field(default=64 * 1024 * _MIB, ge=1)
