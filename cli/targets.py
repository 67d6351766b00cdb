"""The targets of a site and the destinations that it forwards to, as the commands read them."""

from collections.abc import Mapping

from cli.destinations_file import NoDestinations, destination_names
from cli.site import Site
from shared.storage.targets import Target, TargetsRefused, load_targets


class NoTargets(Exception):
    """``targets.yaml`` or ``destinations.yaml`` is missing or wrong; the text says which and where."""


def targets_of(site: Site) -> Mapping[str, Target]:
    """The site's targets by name; NoTargets."""
    try:
        return load_targets(site.targets)
    except TargetsRefused as error:
        raise NoTargets(f"{site.targets}: {error}") from None
    except OSError as error:
        raise NoTargets(f"{site.targets} cannot be read: {error.strerror}") from None


def destinations_of(site: Site) -> list[str]:
    """The names of those that the site forwards to; NoTargets."""
    try:
        return destination_names(site.destinations)
    except NoDestinations as error:
        raise NoTargets(str(error)) from None
