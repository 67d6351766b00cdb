"""What an event tells of a study, and how far its story is."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from services.hl7_fhir.domain.mapping.datatypes import Json
from services.hl7_fhir.domain.studies.imaging_study import AVAILABLE, REGISTERED
from services.hl7_fhir.domain.studies.summary import Images

#: What comes later in the story of one revision.
RECEIVED, COMPLETED, ARCHIVED = 0, 1, 2


@dataclass(frozen=True)
class Heard:
    """A study as one event tells of it. Of one that is only received neither counts nor images are known."""

    study_uid: str
    study_ref: str
    revision: int = 0
    rank: int = RECEIVED
    series: int = 0
    instances: int = 0
    images: Images = field(default_factory=Images)

    def elements(self) -> Json:
        """The elements of ImagingStudy that the images decide."""
        if self.rank == RECEIVED:
            return {"status": REGISTERED}
        series = len(self.images.elements.get("series", ())) or self.series
        counts = {"numberOfInstances": self.instances, **({"numberOfSeries": series} if series else {})}
        return {"status": AVAILABLE, **self.images.elements, **counts}


def digest_of(body: Mapping[str, Any]) -> str:
    """The SHA-256 of a resource, in hexadecimal: the same for the same resource."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def scheduled_of(order: Mapping[str, Any]) -> datetime | None:
    """When the order of a ServiceRequest is to be done, UTC; None when it does not say to the day."""
    bounds = order.get("occurrenceTiming", {}).get("repeat", {}).get("boundsPeriod", {})
    period = order.get("occurrencePeriod", {})
    sent = order.get("occurrenceDateTime") or bounds.get("start") or period.get("start")
    try:
        when = datetime.fromisoformat(sent) if sent else None
    except ValueError:
        return None
    return when and (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
