"""Who and where: practitioners, organizations and locations that fields name, as references and as resources.

A party is (issuer, id) like everything else; one without an id is told by its display alone and is no resource.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.hl7_fhir.domain.mapping import datatypes, vocabulary
from services.hl7_fhir.domain.mapping.datatypes import Json, identifier_type, text_of, valued
from services.hl7_fhir.domain.mapping.functions import Options
from services.hl7_fhir.domain.mapping.identity import Identity, issuer_of, usable
from services.hl7_fhir.domain.mapping.rows import Convert, Fields
from services.hl7_fhir.domain.messages.message import Field, Repetition, part

if TYPE_CHECKING:
    from services.hl7_fhir.domain.mapping.site import Site

#: The levels of PL, outermost first: component and code of location-physical-type (PL[Location]; the guide leaves the
#: point of care open, here it is a ward).
LEVELS = ((4, "si"), (7, "bu"), (8, "lvl"), (1, "wa"), (2, "ro"), (3, "bd"))
_PHYSICAL_TYPES = "http://terminology.hl7.org/CodeSystem/location-physical-type"
_DISPLAYS = {"si": "Site", "bu": "Building", "lvl": "Level", "wa": "Ward", "ro": "Room", "bd": "Bed"}


@dataclass(frozen=True)
class PartySaid:
    """What a message says of a practitioner, an organization or a location."""

    kind: str
    resource_id: str
    fields: Fields = field(repr=False)


def practitioner(repetition: Repetition, site: "Site") -> Json | None:
    """XCN[Practitioner] as a reference."""
    names = [part(repetition, number) for number in (6, 3, 4, 2, 5)]
    display = text_of(" ".join(name for name in names if name))
    return _reference("Practitioner", xcn_identity(repetition, site), xcn_identifier(repetition, site), display, site)


def organization(repetition: Repetition, site: "Site") -> Json | None:
    """XON[Organization] as a reference."""
    display = text_of(part(repetition, 1))
    return _reference("Organization", _xon_identity(repetition, site), xon_identifier(repetition, site), display, site)


def location(repetition: Repetition, site: "Site") -> Json | None:
    """PL[Location] as a reference to the innermost place that is named."""
    steps = _steps(repetition)
    if not steps:
        return None
    display = text_of(part(repetition, 9)) or ", ".join(name for _, _, name in reversed(steps))
    return _location_reference(repetition, steps, display, site)


def named_by_ndl(repetition: Repetition) -> Repetition:
    """The CNN in NDL.1 in the places of XCN (OBR-32 to -35, chapter 2.A.48)."""
    name = [(each,) for each in repetition[0]] if repetition else []
    name += [("",)] * (11 - len(name))
    authority = (name[8][0], name[9][0], name[10][0])
    return (*name[:8], authority)


def xcn_identity(repetition: Repetition, site: "Site") -> Identity | None:
    """(XCN.9, XCN.1), None when XCN.1 can match nothing."""
    return _identity(part(repetition, 1), _component(repetition, 9), site)


def xcn_identifier(repetition: Repetition, site: "Site") -> Json | None:
    """The identifier of XCN.1, .9 and .13."""
    return _identifier(part(repetition, 1), _component(repetition, 9), part(repetition, 13), site)


def xon_identifier(repetition: Repetition, site: "Site") -> Json | None:
    """The identifier of XON.10, before 2.5 XON.3, with .6 and .7."""
    value = part(repetition, 10) or part(repetition, 3)
    return _identifier(value, _component(repetition, 6), part(repetition, 7), site)


def pl_identifier(repetition: Repetition, site: "Site") -> Json | None:
    """The place's names from outside in, under its facility: ``Main/3/Ward/12/A``."""
    steps = _steps(repetition)
    inner = [name for number, _, name in steps if number != 4] or [name for _, _, name in steps]
    return _identifier("/".join(inner), _component(repetition, 4), "", site)


def physical_type(repetition: Repetition, _: "Site") -> Json | None:
    """Location.physicalType of the innermost place."""
    steps = _steps(repetition)
    if not steps:
        return None
    code = steps[-1][1]
    return {"coding": [{"system": _PHYSICAL_TYPES, "code": code, "display": _DISPLAYS[code]}]}


def part_of(repetition: Repetition, site: "Site") -> Json | None:
    """The place around the innermost one."""
    steps = _steps(repetition)[:-1]
    return _location_reference(repetition, steps, steps[-1][2], site) if steps else None


def place_name(repetition: Repetition, _: "Site") -> str | None:
    """The name of the innermost place."""
    steps = _steps(repetition)
    return steps[-1][2] if steps else None


def human_name(options: Options) -> Convert:
    """XCN[Practitioner].name, by the places of XPN."""
    uses = options.codes("NameType")
    empty: tuple[str, ...] = ("",)
    places = (2, 3, 4, 5, 6, 7, 10, 0, 0, 0, 0, 19, 20, 21)

    def made(repetition: Repetition, site: "Site") -> Json | None:
        told = tuple(_component(repetition, number) or empty for number in places)
        return datatypes.human_name(told, site.zone, uses)

    return made


def said_of(referred: Iterable[tuple[str, Repetition]], site: "Site") -> tuple[PartySaid, ...]:
    """Every party that fields referred to and that has an identity, once, and the places around a place."""
    found: dict[tuple[str, str], PartySaid] = {}
    for kind, repetition in referred:
        for said in _SAID[kind](repetition, site):
            found.setdefault((said.kind, said.resource_id), said)
    return tuple(found.values())


def _practitioner_said(repetition: Repetition, site: "Site") -> list[PartySaid]:
    identity = xcn_identity(repetition, site)
    if identity is None or site.key is None:
        return []
    fields: dict[str, Field] = {"XCN-1": (repetition,)}
    if any(part(repetition, number) for number in (2, 3, 4)):
        fields["XCN-2"] = (repetition,)
    return [PartySaid("Practitioner", _id("Practitioner", identity, site), fields)]


def _organization_said(repetition: Repetition, site: "Site") -> list[PartySaid]:
    identity = _xon_identity(repetition, site)
    if identity is None or site.key is None:
        return []
    fields: dict[str, Field] = {"XON-10": (repetition,)}
    if part(repetition, 1):
        fields["XON-1"] = (repetition,)
    return [PartySaid("Organization", _id("Organization", identity, site), fields)]


def _location_said(repetition: Repetition, site: "Site") -> list[PartySaid]:
    steps = _steps(repetition)
    found = []
    for count in range(1, len(steps) + 1):
        identity = _place_identity(repetition, steps[:count], site)
        if identity and site.key:
            # PL.9 describes the innermost place.
            kept = {number for number, _, _ in steps[:count]} | ({9, 10, 11} if count == len(steps) else set())
            shown = tuple(
                component if number in kept | {4} else ("",) for number, component in enumerate(repetition, 1)
            )
            found.append(PartySaid("Location", _id("Location", identity, site), {"PL-1": (shown,)}))
    return found


_SAID: Mapping[str, Callable[[Repetition, "Site"], list[PartySaid]]] = {
    "Practitioner": _practitioner_said,
    "Practitioner-NDL": lambda repetition, site: _practitioner_said(named_by_ndl(repetition), site),
    "Organization": _organization_said,
    "Location": _location_said,
}


def _steps(repetition: Repetition) -> list[tuple[int, str, str]]:
    """(component, code, name) of every place that PL names, outermost first."""
    return [(number, code, name) for number, code in LEVELS if (name := text_of(part(repetition, number)))]


def _location_reference(
    repetition: Repetition, steps: list[tuple[int, str, str]], display: str, site: "Site"
) -> Json | None:
    identity = _place_identity(repetition, steps, site)
    return _reference("Location", identity, None, display, site)


def _place_identity(repetition: Repetition, steps: list[tuple[int, str, str]], site: "Site") -> Identity | None:
    facility = issuer_of(_component(repetition, 4), site.order_issuer)
    path = "/".join(f"{code}:{name}" for _, code, name in steps)
    return Identity(facility, path) if path else None


def _xon_identity(repetition: Repetition, site: "Site") -> Identity | None:
    value = part(repetition, 10) or part(repetition, 3)
    return _identity(value, _component(repetition, 6), site)


def _identity(value: str, authority: tuple[str, ...], site: "Site") -> Identity | None:
    return Identity(issuer_of(authority, site.order_issuer), value) if usable(value) else None


def _identifier(value: str, authority: tuple[str, ...], kind: str, site: "Site") -> Json | None:
    told = text_of(value)
    if not told:
        return None
    namespace, universal, sort = (*(text_of(each) or "" for each in authority[:3]), "", "", "")[:3]
    namespace = namespace or ("" if universal else site.order_issuer)
    return valued(
        type_=identifier_type(kind, site.maps.identifier_types),
        system=vocabulary.identifier_system(namespace, universal, sort),
        value=told,
    )


def _reference(
    kind: str, identity: Identity | None, identifier: Json | None, display: str | None, site: "Site"
) -> Json | None:
    reference = f"{kind}/{_id(kind, identity, site)}" if identity and site.key else None
    told = valued(reference=reference, identifier=identifier, display=display)
    return {"type": kind, **told} if told else None


def _id(kind: str, identity: Identity, site: "Site") -> str:
    if site.key is None:
        raise TypeError("a site without a key names no resources")
    return site.key.token(f"{kind.lower()}-resource", identity.issuer, identity.value)


def _component(repetition: Repetition, number: int) -> tuple[str, ...]:
    return repetition[number - 1] if 0 < number <= len(repetition) else ()
