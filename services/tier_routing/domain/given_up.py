"""Messages that another service gave up, as far as the ledger must know them: what they were about."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

#: A reason is a code; whatever else it might be is cut.
_LONGEST = 128

#: Where an event names the batch, or the pack, that it is about.
_BATCH = (("batch_id",), ("batch", "batch_id"))
_PACK = (("pack_id",), ("sealed", "pack_id"), ("copy_key", "pack_id"))


@dataclass(frozen=True)
class GivenUp:
    """A dead letter; ``number`` is its place in the stream."""

    number: int
    service: str
    subject: str
    error_class: str
    reason: str
    batch_id: str | None
    pack_id: str | None
    told: datetime


def given_up(
    body: bytes, *, number: int, service: str, subject: str, error_class: str, reason: str, told: datetime
) -> GivenUp:
    """A dead letter with the ids in its ``body``, which may be anything at all."""
    data = _data(body)
    return GivenUp(
        number=number,
        service=service[:64],
        subject=subject[:_LONGEST],
        error_class=error_class[:64],
        reason=reason[:_LONGEST],
        batch_id=_first(data, _BATCH),
        pack_id=_first(data, _PACK),
        told=told,
    )


def _data(body: bytes) -> Any:
    try:
        envelope = json.loads(body)
    except ValueError:
        return None
    return envelope.get("data") if isinstance(envelope, dict) else None


def _first(data: Any, ways: tuple[tuple[str, ...], ...]) -> str | None:
    found = (_at(data, way) for way in ways)
    return next((value for value in found if isinstance(value, str) and len(value) <= 64), None)


def _at(data: Any, way: tuple[str, ...]) -> Any:
    for name in way:
        data = data.get(name) if isinstance(data, dict) else None
    return data
