"""Projects, each with a key in a file of its own."""

import re
from pathlib import Path

from services.deid.adapters.profiles import FileProfiles
from services.deid.domain.options import Option
from services.deid.domain.part10 import Project
from services.deid.domain.pictures.retouch import Pictures
from services.deid.domain.pseudonyms import ProjectKey
from services.deid.domain.recognizer import Recognizer
from services.deid.domain.rules import standard_rules
from services.deid.domain.withholding import standard_refusal
from shared.errors import RetryLater, Unprocessable

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class FileProjects:
    """``<directory>/<project>.key``, 32 random bytes, readable by this service alone."""

    def __init__(
        self,
        directory: Path,
        *,
        profiles: FileProfiles | None = None,
        pictures: Pictures | None = None,
        recognizer: Recognizer | None = None,
    ) -> None:
        self._directory = directory
        self._pictures = pictures
        self._recognizer = recognizer
        self._profiles = profiles or FileProfiles(None)

    def open(self, name: str) -> Project:
        if not _NAME.fullmatch(name):
            raise Unprocessable("project-name")
        path = self._directory / f"{name}.key"
        try:
            ProjectKey.create(path)
            key = ProjectKey(path.read_bytes())
            if path.stat().st_mode & 0o077:
                raise RetryLater("project-key-mode")
        except (OSError, ValueError):
            raise RetryLater("project-key") from None
        profile = self._profiles.of(name)
        cleans_pixels = self._pictures is not None and profile.has(Option.CLEAN_PIXEL_DATA)
        refuse = standard_refusal(cleans_pixels=cleans_pixels)
        return Project(name, key, standard_rules(), refuse, profile, self._pictures, self._recognizer)
