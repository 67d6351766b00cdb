"""Projects, each with a key in a file of its own."""

import re
import secrets
from collections.abc import Callable
from pathlib import Path

from services.deid.adapters.file_people import FilePeople
from services.deid.adapters.profiles import FileProfiles
from services.deid.adapters.second_engine import SecondEngine
from services.deid.domain.options import Option
from services.deid.domain.part10 import Project
from services.deid.domain.pictures.retouch import Pictures
from services.deid.domain.pictures.risk import refusal_of
from services.deid.domain.profile import Profile
from services.deid.domain.pseudonyms import MappedKey, People, ProjectKey, RandomKey
from services.deid.domain.recognizer import Recognizer
from services.deid.domain.rules import standard_rules
from shared.errors import RetryLater, Unprocessable

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class ProjectSecrets:
    """``<directory>/<project>.key``, 32 random bytes, readable by this service alone; made when first asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def of(self, name: str) -> bytes:
        """The secret of a project; Unprocessable for what can be no project's name, RetryLater without the file."""
        if not _NAME.fullmatch(name):
            raise Unprocessable("project-name")
        path = self._directory / f"{name}.key"
        try:
            ProjectKey.create(path)
            secret = path.read_bytes()
            if path.stat().st_mode & 0o077:
                raise RetryLater("project-key-mode")
        except (OSError, ValueError):
            raise RetryLater("project-key") from None
        return secret


class FileProjects:
    """Projects whose keys lie in ``directory``.

    ``people`` gives the map of each. Without it pseudonyms are of the key alone, or of a map beside the key where the
    profile wants random ones.
    """

    def __init__(
        self,
        directory: Path,
        *,
        profiles: FileProfiles | None = None,
        pictures: Pictures | None = None,
        recognizer: Recognizer | None = None,
        people: Callable[[str], People] | None = None,
    ) -> None:
        self._directory = directory
        self._secrets = ProjectSecrets(directory)
        self._pictures = pictures
        self._recognizer = recognizer
        self._profiles = profiles or FileProfiles(None)
        self._people = people

    def open(self, name: str) -> Project:
        secret, profile = self._secrets.of(name), self._profiles.of(name)
        key = key_of(secret, profile, self._people_of(name, profile))
        cleans_pixels = self._pictures is not None and profile.has(Option.CLEAN_PIXEL_DATA)
        refuse = refusal_of(profile, cleans_pixels=cleans_pixels)
        second = SecondEngine(self._pictures) if cleans_pixels and self._pictures else None
        return Project(name, key, standard_rules(), refuse, profile, self._pictures, self._recognizer, second)

    def _people_of(self, name: str, profile: Profile) -> People | None:
        if self._people:
            return self._people(name)
        return FilePeople(self._directory, name) if profile.random_ids else None


def key_of(secret: bytes, profile: Profile, people: People | None) -> ProjectKey:
    """The key of a project as its legal basis wants it; Unprocessable where that needs a map and there is none."""
    if people is None:
        if profile.random_ids:
            raise Unprocessable("safe-harbor-needs-a-map")
        return ProjectKey(secret)
    return RandomKey(secret, people, random_pseudonym) if profile.random_ids else MappedKey(secret, people)


def random_pseudonym() -> str:
    """A pseudonym that is derived from nothing; 16 characters."""
    return "P" + secrets.token_hex(8)[:15].upper()
