"""The map of a project for files (file_map.py), loaded by who needs it: its database takes a second to load."""

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from services.deid.domain.pseudonyms import People


def opened(folder: Path, project: str) -> AbstractContextManager[People]:
    """The people of a project; RetryLater where the file can't be read or made, or is no map."""
    from services.deid.adapters.file_map import file_map

    return file_map(folder, project)


class FilePeople:
    """The people of a project, opened for each patient and all UIDs that were not met before: a map that is closed is
    one file."""

    def __init__(self, folder: Path, project: str) -> None:
        self._folder = folder
        self._project = project
        self._known: dict[str, str] = {}

    def pseudonym(self, who: str, proposal: Callable[[int], str]) -> str:
        if who not in self._known:
            with opened(self._folder, self._project) as people:
                self._known[who] = people.pseudonym(who, proposal)
        return self._known[who]

    def uids(self, tokens: Collection[str]) -> Mapping[str, str]:
        with opened(self._folder, self._project) as people:
            return people.uids(tokens)
