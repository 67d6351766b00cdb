"""``causeway deidentify``: files in, clean files out, and why the others are not."""

import json as json_format
import sys
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.deidentify.ledger import Ledger, replacing
from cli.deidentify.one import Recipe
from cli.deidentify.refusals import check_places, check_recipe, profile_in
from cli.deidentify.results import Outcome
from cli.deidentify.work import BATCH, processors, run
from cli.dicom_files import files_below
from cli.options import Json, site_of
from cli.output import fail, say, warn
from services.deid.domain.person import Issuers
from services.deid.domain.profile import Profile
from services.deid.domain.rules import standard_rules
from services.deid.domain.statement import statement_of

#: What a shell makes of a command that SIGINT ended: 128 and its number.
_INTERRUPTED = 130


def command(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, or folders with all files in them.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Where clean files go.")],
    profile: Annotated[Path, typer.Option("--profile", metavar="FILE", help="What is done: a profile (YAML).")],
    project: Annotated[str, typer.Option("--project", metavar="NAME", help="Whose key makes pseudonyms and UIDs.")],
    map_file: Annotated[
        Path | None, typer.Option("--map", metavar="FILE", help="Write original SOP Instance UID → new (JSON).")
    ] = None,
    quarantine: Annotated[
        Path | None, typer.Option("--quarantine", metavar="FILE", help="Write the UIDs of what is held back.")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option("--keys", metavar="DIR", help="Keys of projects. Default: the site's.")
    ] = None,
    devices: Annotated[
        Path | None, typer.Option("--devices", metavar="FILE", help="Devices of the site and where they write text.")
    ] = None,
    issuer: Annotated[
        str, typer.Option("--issuer", metavar="NAME", help="Who gave Patient IDs that come without an issuer.")
    ] = "",
    recognizer: Annotated[
        str | None,
        typer.Option("--recognizer", metavar="MODULE:OBJECT", help="A plug-in that finds names in free text."),
    ] = None,
    by_series: Annotated[bool, typer.Option("--by-series", help="One folder for each series.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", min=0, help="Processes; 0: as many as processors.")] = 0,
    json: Json = False,
) -> None:
    """De-identify DICOM files; status 0 when each is either out clean or held back with its UID on the list."""
    with _told_when_it_ends():
        chosen = profile_in(profile)
        check_places(paths, out, map_file, quarantine)
        folder = keys or site_of(None).secrets / "projects"
        is_new = not (folder / f"{project}.key").exists()
        recipe = Recipe(folder, project, chosen, out, by_series, devices, Issuers(issuer.strip()), recognizer)
        check_recipe(recipe)
        if is_new:
            warn(f"made the key of project {project}, without which nobody can continue it: {folder / project}.key")
        ledger = Ledger()
        _work(ledger, files_below(paths), recipe, jobs)
        _write(ledger, map_file, quarantine)
    if json:
        _tell_as_json(ledger, chosen, project)
    else:
        _tell(ledger)
    if quarantine is None and ledger.count(Outcome.WITHHELD):
        fail("inputs were held back, and there is no list of them: say --quarantine FILE")
    raise typer.Exit(1 if ledger.count(Outcome.FAILED) else 0)


@contextmanager
def _told_when_it_ends() -> Iterator[None]:
    """One line where the work was interrupted, or a process of it was killed."""
    try:
        yield
    except BrokenProcessPool:
        fail("a process that did the work was killed, perhaps for its memory: run the same again, with fewer --jobs")
    except KeyboardInterrupt:
        fail("interrupted: what is out is clean, and the same command goes on where this one stopped", _INTERRUPTED)


def _work(ledger: Ledger, files: Iterator[Path], recipe: Recipe, jobs: int) -> None:
    with closing(run(*_share(files, recipe, jobs))) as finished:
        for done in finished:
            ledger.note_steps(done.steps)
            for result in done.results:
                ledger.note(result)


def _share(files: Iterator[Path], recipe: Recipe, jobs: int) -> tuple[Iterator[Path], Recipe, int]:
    """The work for so many processes, no more than there are batches."""
    jobs = jobs or processors()
    first = list(islice(files, jobs * BATCH))
    return chain(first, files), recipe, max(1, min(jobs, len(first) // BATCH))


def _write(ledger: Ledger, map_file: Path | None, quarantine: Path | None) -> None:
    for path, write in ((map_file, ledger.write_map), (quarantine, ledger.write_quarantine)):
        if path:
            try:
                with replacing(path) as file:
                    write(file)
            except OSError as error:
                fail(f"{path} cannot be written: {error.strerror or error}")


def _summary(ledger: Ledger, profile: Profile, project: str) -> dict[str, Any]:
    return {
        "project": project,
        "profile": {
            "name": profile.name,
            "version": profile.version,
            "options": sorted(profile.options),
            "legal_basis": profile.legal_basis,
        },
        "edition": standard_rules().edition,
        "statement": statement_of(profile),
        "counts": {outcome.value: ledger.count(outcome) for outcome in Outcome},
        "reasons": ledger.reasons(),
        "rules": ledger.rules(),
    }


def _tell_as_json(ledger: Ledger, profile: Profile, project: str) -> None:
    """One document, its inputs one by one: there may be a million."""
    head = json_format.dumps(_summary(ledger, profile, project), indent=2)
    sys.stdout.write(head[: head.rindex("}")].rstrip() + ',\n  "inputs": [')
    for number, each in enumerate(ledger.inputs(*Outcome)):
        sys.stdout.write(f"{',' if number else ''}\n    {json_format.dumps(each)}")
    sys.stdout.write("\n  ]\n}\n")


def _tell(ledger: Ledger) -> None:
    for each in ledger.inputs(Outcome.SKIPPED, Outcome.WITHHELD, Outcome.FAILED):
        warn(f"{each['outcome']} {each['path']}: {each['reason']}")
    why = ", ".join(f"{count} {reason}" for reason, count in ledger.reasons().items())
    more = {Outcome.WITHHELD: f" ({why})"}
    counts = {outcome: ledger.count(outcome) for outcome in Outcome}
    told = [f"{count} {outcome.value}{more.get(outcome, '')}" for outcome, count in counts.items() if count]
    say(", ".join(told) or "nothing to do: there are no files")
