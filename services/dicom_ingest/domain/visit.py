"""One association and what it brought."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass
class Visit:
    """Who called whom, and what came of it.

    ``traceparent`` is that of the association's span; ``traced`` tells whether a batch has that trace already.
    """

    calling_ae: str
    called_ae: str
    address: str
    association_id: str = field(default_factory=lambda: secrets.token_hex(16))
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    traceparent: str | None = None
    traced: bool = False
    stored: int = 0
    refused: int = 0
    batches: set[str] = field(default_factory=set)
    studies: set[str] = field(default_factory=set)
