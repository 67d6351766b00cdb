"""The targets of a site, as the commands read them."""

from collections.abc import Mapping

from cli.site import Site
from shared.storage.targets import Target, TargetsRefused, load_targets


class NoTargets(Exception):
    """``targets.yaml`` is missing or wrong; the text says which, and where it is looked for."""


def targets_of(site: Site) -> Mapping[str, Target]:
    """The site's targets by name; NoTargets."""
    try:
        return load_targets(site.targets)
    except TargetsRefused as error:
        raise NoTargets(f"{site.targets}: {error}") from None
    except OSError as error:
        raise NoTargets(f"{site.targets} cannot be read: {error.strerror}") from None
