"""What is wrong with a command before anything is done: told in one sentence, with exit status 2."""

import tempfile
from pathlib import Path
from typing import NoReturn

from cli.deidentify.one import Recipe
from cli.output import fail
from services.deid.adapters import file_people
from services.deid.adapters.recognizers import load_recognizer
from services.deid.domain.profile import Profile
from services.deid.domain.profile_file import read_profile
from shared.errors import CausewayError
from shared.yaml_lines import DocumentRefused

USAGE = 2

#: By the reason of the error; ``{}`` is the path of the project's key without its suffix.
_KEY_TROUBLE = {
    "project-name": "a project is named by lower-case letters, digits, dots, hyphens and underscores: {}",
    "project-key": "the key of the project cannot be read or made, or is none of 32 bytes: {}.key",
    "project-key-mode": "the key of the project may be read by others, say chmod 600: {}.key",
    "project-map": "the map of the project cannot be read or made, or is none: {}.map",
}


def profile_in(path: Path) -> Profile:
    """The profile in a file."""
    try:
        return read_profile(path.read_text("utf-8"), str(path))
    except DocumentRefused as error:
        refuse(str(error))
    except OSError as error:
        refuse(f"{path} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        refuse(f"{path} cannot be read: no text")


def check_places(paths: list[Path], out: Path, *written: Path | None) -> None:
    """That what is read is there, and that results can lie in ``out`` and take the place of the files ``written``."""
    if missing := [str(path) for path in paths if not path.exists()]:
        refuse(f"no such file or folder: {', '.join(missing)}")
    if out.exists() and not out.is_dir():
        refuse(f"not a folder: {out}")
    if any(path.is_dir() and out.resolve().is_relative_to(path.resolve()) for path in paths):
        refuse(f"{out} lies in what is to be de-identified")
    for path in filter(None, written):
        if path.is_dir():
            refuse(f"{path} is a folder, and should be a file")
        if any(path.resolve() == each.resolve() for each in paths):
            refuse(f"{path} is to be de-identified, and would be written over")
        _check_folder(path.parent)
    _check_folder(out)


def check_recipe(recipe: Recipe) -> None:
    """That there are a usable key, a map where one is needed, and the devices and the recognizer that are named."""
    try:
        load_recognizer(recipe.recognizer)
    except Exception as error:  # its module may raise anything
        refuse(f"{recipe.recognizer} is no recognizer: {type(error).__name__}: {error}")
    try:
        recipe.task().close()
        if recipe.profile.random_ids:
            with file_people.opened(recipe.keys, recipe.project):
                pass
    except DocumentRefused as error:
        refuse(str(error))
    except OSError as error:
        refuse(f"{recipe.devices} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        refuse(f"{recipe.devices} cannot be read: no text")
    except CausewayError as error:
        refuse(_KEY_TROUBLE.get(error.reason, f"{error.reason}: {{}}").format(recipe.keys / recipe.project))


def refuse(text: str) -> NoReturn:
    """End the command."""
    fail(text, status=USAGE)


def _check_folder(folder: Path) -> None:
    """That a file can be made there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # without a name, where the system has that: nothing of it can stay
            pass
    except OSError as error:
        refuse(f"nothing can be written to {folder}: {error.strerror}")
