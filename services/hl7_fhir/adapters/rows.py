"""Rows of resources and versions as FHIR resources."""

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from services.hl7_fhir.domain.fhir.documents import Stored


def stored(row: Row[Any]) -> Stored:
    """The version that a row of ``resources`` or ``versions`` holds."""
    return Stored(row.type, row.id, row.version, in_utc(row.updated), row.message_ref, json.loads(row.body))


def in_utc(moment: datetime) -> datetime:
    """``moment`` as both databases mean it: SQLite gives it without its zone."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
