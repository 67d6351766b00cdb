"""One file through the engine, and onto disk under its new name."""

import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from pydicom import dcmread

from cli.deidentify.originals import Changed, opened
from cli.deidentify.placing import Taken, put, unnamed
from cli.deidentify.results import Done, Outcome, Result, Tally
from cli.dicom_files import Outgoing, Problem, Skipped
from cli.outlines import Outlines
from services.deid.adapters.pictures import Bounds, ProcessPictures
from services.deid.adapters.profiles import FileProfiles
from services.deid.adapters.projects import FileProjects
from services.deid.adapters.recognizers import load_recognizer
from services.deid.domain.names import NOBODY, Names
from services.deid.domain.part10 import Project, clean_file
from services.deid.domain.person import NOBODY_ELSE, Issuers
from services.deid.domain.profile import Profile
from services.deid.domain.withholding import Reason, Withheld
from shared.errors import CausewayError, RetryLater

#: What a new UID that names a file may look like, whatever a profile retains.
_SAFE = re.compile(r"[0-9][0-9.]{0,63}")


@dataclass(frozen=True)
class Recipe:
    """What is done with each file, as another process can be told it; results go into ``folder``.

    ``issuers`` gave the Patient IDs of files that name none.
    """

    keys: Path
    project: str
    profile: Profile = field(hash=False)
    folder: Path
    by_series: bool = False
    devices: Path | None = None
    issuers: Issuers = NOBODY_ELSE
    recognizer: str | None = None

    def task(self) -> "Task":
        """Ready to work; Unprocessable for a name that is none, RetryLater when there is no usable key.

        OSError, UnicodeDecodeError or DocumentRefused when the catalogue of devices can't be read; what a recognizer's
        module raises.
        """
        bounds, recognizer = Bounds(), load_recognizer(self.recognizer)
        pictures = ProcessPictures.of(self.devices, bounds.memory, bounds.seconds)
        profiles = _GivenProfile(self.profile)
        projects = FileProjects(self.keys, profiles=profiles, pictures=pictures, recognizer=recognizer)
        project = replace(projects.open(self.project), issuers=self.issuers)
        return Task(project, self.folder, self.by_series, pictures)


class _GivenProfile(FileProfiles):
    """One profile for whatever project."""

    def __init__(self, profile: Profile) -> None:
        super().__init__(None)
        self._profile = profile

    def of(self, project: str) -> Profile:
        return self._profile


@dataclass(frozen=True)
class Task:
    """What is done with each file: results go into ``folder``, into one folder for each series if ``by_series``.

    ``looks_again``: whether a second look at each result holds it back where it finds something.
    """

    project: Project
    folder: Path
    by_series: bool = False
    pictures: ProcessPictures | None = None
    looks_again: bool = True
    outlines: Outlines = field(default_factory=Outlines, compare=False, repr=False)

    def close(self) -> None:
        """Let the process that looks at pictures end."""
        if self.pictures:
            self.pictures.close()


class Input(NamedTuple):
    """A file as it was found, the study that its header tells, if any, and its stamp (originals.py)."""

    found: Outgoing | Problem | Skipped
    study: str = ""
    stamp: str = ""


class Batch(NamedTuple):
    """Some inputs, which are few, and what all inputs of their studies name."""

    inputs: list[Input]
    names: Mapping[str, Names]


def deidentify_all(batch: Batch, task: Task) -> Done:
    """What becomes of a batch; never raises for what is in a file."""
    tally = Tally()
    with suppress(CausewayError):  # then each file that needs them says so itself
        found = [one.found for one in batch.inputs]
        task.project.key.expect(one.sop_instance for one in found if isinstance(one, Outgoing))
    results = [_deidentify(one, batch.names.get(one.study, NOBODY), task, tally) for one in batch.inputs]
    return Done(results, tally.total())


def _deidentify(given: Input, study: Names, task: Task, tally: Tally) -> Result:
    """What becomes of a file; ``tally`` counts what was done in it when it is out."""
    match given.found:
        case Skipped(path=path, why=why):
            return Result(path, Outcome.SKIPPED, why)
        case Problem(path=path, why=why):
            return _broken(path, why)
        case Outgoing(path=path) as found:
            try:
                return _clean(found, given.stamp, study, task, tally)
            except Changed:
                return Result(path, Outcome.FAILED, "changed while others were read: it is gone, or another one now")


def _broken(path: Path, why: str) -> Result:
    """DICOM that cannot be read to its end is withheld where its UID can be, so that it is told on the list."""
    original = uid_of(path)
    if not original:
        return Result(path, Outcome.FAILED, why)
    return Result(path, Outcome.WITHHELD, Reason.UNREADABLE_HEADER.value, original=original)


def _clean(found: Outgoing, stamp: str, study: Names, task: Task, tally: Tally) -> Result:
    path, original = found.path, found.sop_instance
    # Nothing has a name in the folder before it is known to be clean.
    with opened(found, stamp) as (source, instance), unnamed(task.folder) as sink:
        try:
            cleaned = clean_file(source, instance, task.project, sink, told=False, study=study)
            if task.looks_again and task.project.look.at(source, sink, study=study):
                raise Withheld(Reason.SECOND_LOOK)
        except Withheld as refused:
            return Result(path, Outcome.WITHHELD, refused.code.value, original=original)
        except RetryLater as trouble:
            return Result(path, Outcome.FAILED, f"cannot be worked on: {trouble.reason}")
        new = cleaned.instance.sop_instance_uid
        name = _name(new, (cleaned.instance.series_uid or "") if task.by_series else "", task)
        try:
            put(sink, task.folder / name)
        except Taken:
            return Result(path, Outcome.FAILED, f"another file has its name already: {name}")
        except OSError as error:
            return Result(path, Outcome.FAILED, f"cannot be written: {error.strerror or error}")
        tally.note(cleaned.steps)
        return Result(path, Outcome.RELEASED, output=name, original=original, new=new)


def _name(sop_instance: str, series: str, task: Task) -> str:
    name = sop_instance if _SAFE.fullmatch(sop_instance) else task.project.key.token("file", sop_instance)
    return str(Path(series, f"{name}.dcm")) if _SAFE.fullmatch(series) else f"{name}.dcm"


def uid_of(path: Path) -> str:
    """The SOP Instance UID of a file that breaks the standard, "" when even a lenient reader finds none."""
    if not path.is_file():  # a pipe would be waited for
        return ""
    with suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"]).get("SOPInstanceUID", ""))
    return ""
