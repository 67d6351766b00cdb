"""Appointments: what SCH and the AIS, AIG, AIL and AIP after it say (SIU, HL7 v2 chapter 10, section 10.4)."""

from datetime import datetime, timedelta

from services.hl7_fhir.domain.mapping import datatypes
from services.hl7_fhir.domain.mapping.datatypes import Json
from services.hl7_fhir.domain.mapping.functions import number_of
from services.hl7_fhir.domain.mapping.rows import Fields
from services.hl7_fhir.domain.mapping.site import Site
from services.hl7_fhir.domain.messages.message import first

#: Units of durations (SCH-10, AIS-8) in seconds: UCUM and what is really sent; minutes where none is named.
_UNITS = {"S": 1, "SEC": 1, "MIN": 60, "M": 60, "H": 3600, "HR": 3600, "HOUR": 3600, "D": 86400}
#: Appointments without a time cannot be booked (R4 constraint app-3).
_TIMELESS = frozenset(("proposed", "cancelled", "waitlist"))


def finished(elements: Json, fields: Fields, subject: Json, orders: list[Json], site: Site) -> Json:
    """With its times, its patient and its orders."""
    named = [one for one in elements.pop("participant", []) if "actor" in one or "type" in one]
    begins, ends = _times(fields, site)
    told: Json = {**elements, **({"basedOn": orders} if orders else {})}
    if begins and ends and begins < ends:
        told |= {"start": _instant(begins, site), "end": _instant(ends, site)}
        told["minutesDuration"] = max(1, round((ends - begins).total_seconds() / 60))
    elif told["status"] not in _TIMELESS:
        told["status"] = "proposed"
    return {**told, "participant": [{"actor": subject, "status": "accepted"}, *named]}


def _times(fields: Fields, site: Site) -> tuple[datetime | None, datetime | None]:
    """SCH-11.4 and .5, else AIS-4, with the duration of SCH-9 or AIS-7 where no end is named."""
    begins = datatypes.moment(first(fields.get("SCH-11", ()), 4), site.zone)
    ends = datatypes.moment(first(fields.get("SCH-11", ()), 5), site.zone)
    begins = begins or datatypes.moment(first(fields.get("AIS-4", ())), site.zone)
    if begins and not ends:
        lasts = _seconds(fields, "SCH-9", "SCH-10") or _seconds(fields, "AIS-7", "AIS-8")
        ends = begins + timedelta(seconds=lasts) if lasts else None
    return begins, ends


def _seconds(fields: Fields, duration: str, unit: str) -> float:
    value = number_of(first(fields.get(duration, ())))
    seconds = _UNITS.get(first(fields.get(unit, ())).upper() or "MIN")
    return float(value) * seconds if value and 0 < value < 1e6 and seconds else 0


def _instant(moment: datetime, site: Site) -> str:
    return moment.astimezone(site.zone).isoformat(timespec="seconds")
