"""Profiles of projects, each a file that a privacy officer can read."""

from pathlib import Path

from services.deid.domain.profile import BASIC_PROFILE, Profile
from services.deid.domain.profile_file import read_profile


class FileProfiles:
    """``<directory>/<project>.yaml``, all read at once: a service with a profile that contradicts itself won't start.

    DocumentRefused for such a file. A project without a file gets the Basic Profile, which lets out least.
    """

    def __init__(self, directory: Path | None) -> None:
        paths = sorted(directory.glob("*.yaml")) if directory else ()
        self._profiles = {path.stem: read_profile(path.read_text("utf-8"), str(path)) for path in paths}

    def of(self, project: str) -> Profile:
        """The project's profile."""
        return self._profiles.get(project, BASIC_PROFILE)
