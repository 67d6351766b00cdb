"""Who issued an id that names nobody: its sender's default, put into it as the message is read.

A record is read again when messages of others speak of it; their defaults say nothing of ids that they did not send.
"""

from services.hl7_fhir.domain.mapping.identity import DEFAULTED
from services.hl7_fhir.domain.mapping.rows import Fields
from services.hl7_fhir.domain.mapping.site import Site
from services.hl7_fhir.domain.messages.message import Field, Repetition, part

#: Where the data types of ids name the issuer: in one component with parts, or in several (chapter 2.A.14, 2.A.28).
CX, EI = 4, 2


def filled(fields: Fields, target: str, site: Site) -> dict[str, Field]:
    """``fields`` with the site's issuer in every id of a ``target`` that names none."""
    told = dict(fields)
    if not site.patient_issuer and not site.order_issuer:
        return told
    for name, (place, whose) in site.maps.issued(target).items():
        if value := told.get(name):
            told[name] = issued(value, place, site.issuer(whose))
    return told


def issued(value: Field, place: int, issuer: str) -> Field:
    """``value`` with ``issuer`` in every id that names none; ``place`` is CX or EI."""
    return tuple(_issued(repetition, place, issuer) for repetition in value) if issuer else value


def _issued(repetition: Repetition, place: int, issuer: str) -> Repetition:
    universal = part(repetition, 4, 2) if place == CX else part(repetition, 3)
    if not part(repetition, 1) or part(repetition, place) or universal:
        return repetition
    empty: tuple[str, ...] = ("",)
    whole = [*repetition, *[empty] * (place - len(repetition))]
    named = (issuer, *whole[place - 1][1:])
    whole[place - 1] = (*(*named, "", "")[:3], DEFAULTED) if place == CX else named
    return tuple(whole)
