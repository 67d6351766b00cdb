"""The folder of a demonstration: its own, to be emptied, and nobody else's."""

import shutil
from pathlib import Path

from cli import lifecycle
from cli.site import Site

DEFAULT = Path(".causeway/demo")
#: A folder with this file in it was made by a demonstration, and may be emptied by the next.
MARK = ".causeway-demo"


class NotOurs(Exception):
    """The folder holds what no demonstration made."""


def emptied(folder: Path) -> Path:
    """``folder``, new or as empty as new, marked as a demonstration's; NotOurs, with nothing touched, for any other."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mark = folder / MARK
        if not mark.is_file():
            _insist_empty(folder)
            mark.write_text("`causeway demo` made this folder and empties it when it runs again.\n")
        lifecycle.end(Site(folder))
        for child in folder.iterdir():
            if child != mark:
                _remove(child)
    except OSError as error:
        raise NotOurs(f"{error.filename or folder}: {error.strerror or error}") from None
    return folder


def _insist_empty(folder: Path) -> None:
    if any(folder.iterdir()):
        way_out = "name another folder with --data, or remove it"
        raise NotOurs(f"{folder} is not empty and has no mark of a demonstration: {way_out}")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
