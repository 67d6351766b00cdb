"""``causeway deidentify``: files in, clean files out, and why the others are not."""

import json as json_format
import sys
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.deidentify.ledger import Ledger, replacing
from cli.deidentify.one import Recipe
from cli.deidentify.results import Outcome
from cli.deidentify.work import BATCH, processors, run
from cli.dicom_files import files_below
from cli.options import Json, site_of
from cli.output import fail, say, warn
from services.deid.domain.profile import Profile
from services.deid.domain.profile_file import read_profile
from services.deid.domain.rules import standard_rules
from services.deid.domain.statement import statement_of
from shared.errors import CausewayError
from shared.yaml_lines import DocumentRefused

USAGE = 2


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
    by_series: Annotated[bool, typer.Option("--by-series", help="One folder for each series.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", min=0, help="Processes; 0: as many as processors.")] = 0,
    json: Json = False,
) -> None:
    """De-identify DICOM files; status 0 when each is either out clean or held back with its UID on the list."""
    chosen = _profile(profile)
    _check(paths, out)
    recipe = Recipe(
        keys or site_of(None).secrets / "projects", project, chosen, out, by_series, devices, issuer.strip()
    )
    try:
        recipe.task()
    except (OSError, DocumentRefused) as error:
        fail(f"{devices} cannot be used: {error}", status=USAGE)
    except CausewayError as error:
        fail(f"{_KEY_TROUBLE.get(error.reason, error.reason)}: {project}", status=USAGE)
    out.mkdir(parents=True, exist_ok=True)
    ledger = Ledger()
    for done in run(*_share(files_below(paths), recipe, jobs)):
        ledger.note_steps(done.steps)
        for result in done.results:
            ledger.note(result)
    _write(ledger, map_file, quarantine)
    (_tell_as_json if json else _tell)(ledger, chosen, project)
    raise typer.Exit(1 if ledger.count(Outcome.FAILED) else 0)


_KEY_TROUBLE = {
    "project-name": "a project is named by lower-case letters, digits, dots, hyphens and underscores",
    "project-key": "the key of the project cannot be read or made",
    "project-key-mode": "the key of the project may be read by others: chmod 600",
}


def _profile(path: Path) -> Profile:
    try:
        return read_profile(path.read_text("utf-8"), str(path))
    except DocumentRefused as error:
        fail(str(error), status=USAGE)
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'no text'}", status=USAGE)


def _check(paths: list[Path], out: Path) -> None:
    if missing := [str(path) for path in paths if not path.exists()]:
        fail(f"no such file or folder: {', '.join(missing)}", status=USAGE)
    if out.exists() and not out.is_dir():
        fail(f"not a folder: {out}", status=USAGE)
    if any(path.is_dir() and out.resolve().is_relative_to(path.resolve()) for path in paths):
        fail(f"{out} lies in what is to be de-identified", status=USAGE)


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


def _tell(ledger: Ledger, profile: Profile, project: str) -> None:
    for each in ledger.inputs(Outcome.SKIPPED, Outcome.WITHHELD, Outcome.FAILED):
        warn(f"{each['outcome']} {each['path']}: {each['reason']}")
    counts = _summary(ledger, profile, project)["counts"]
    say(", ".join(f"{count} {name}" for name, count in counts.items() if count) or "nothing to do")
