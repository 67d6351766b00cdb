"""The maps of this site: those that are shipped, as a file of the site's own overrides them."""

from pathlib import Path

from services.hl7_fhir.domain.mapping.maps import Maps
from services.hl7_fhir.domain.mapping.shipped import shipped, with_site


def site_maps(path: Path | None) -> Maps:
    """Read and checked once, at start; DocumentRefused names file and line, OSError when it cannot be read."""
    return shipped() if path is None else with_site(path.name, path.read_text(encoding="utf-8"))
