"""The maps that come with this service: data files that belong to its code and are read once."""

from functools import cache
from importlib.resources import files

from services.hl7_fhir.domain.mapping.maps import Maps
from services.hl7_fhir.domain.mapping.maps_file import read_maps


@cache
def documents() -> tuple[tuple[str, str], ...]:
    """Name and text of every file of ``services/hl7_fhir/maps``, by name."""
    folder = files("services.hl7_fhir") / "maps"
    found = sorted((each for each in folder.iterdir() if each.name.endswith(".yaml")), key=lambda each: each.name)
    return tuple((each.name, each.read_text(encoding="utf-8")) for each in found)


@cache
def shipped() -> Maps:
    """The shipped maps, compiled; DocumentRefused names what is wrong with them."""
    return read_maps(documents())


def with_site(name: str, text: str) -> Maps:
    """The shipped maps as the site's own document, called ``name``, overrides them; DocumentRefused."""
    return read_maps((*documents(), (name, text)))
