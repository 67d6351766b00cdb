"""``causeway send``: DICOM files over C-STORE, byte for byte, as a modality would."""

import re
import ssl
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cli import tls
from cli.dicom_files import Outgoing, Problem, Skipped, examine, files_below
from cli.dispatch import Dispatch, Peer, Progressed, Report
from cli.options import Data, Json, site_of
from cli.outlines import Outlines
from cli.output import console, emit_json, fail, say, warn
from cli.scu import MAX_CONTEXTS, Pair
from cli.site import SiteDown

CALLING_AE, CALLED_AE = "CAUSEWAY_SEND", "CAUSEWAY"
#: VR AE of PS3.5 section 6.2: up to 16 characters of ASCII, no backslash, not spaces alone.
_AE_TITLE = re.compile(r"(?! *$)[ -\[\]-~]{1,16}")


def send(
    paths: Iterable[Path],
    *,
    host: str,
    port: int,
    associations: int = 1,
    calling_ae: str = CALLING_AE,
    called_ae: str = CALLED_AE,
    secured_by: ssl.SSLContext | None = None,
    on_progress: Progressed | None = None,
) -> Report:
    """Send every DICOM file of ``paths`` over at most ``associations`` at a time; never raises for one bad file.

    ``secured_by`` is for a receiver that speaks TLS.
    """
    report = Report()
    dispatch = Dispatch(report, Peer(host, port, calling_ae, called_ae, secured_by), on_progress)
    outgoing = _sort(paths, report, dispatch)
    started = time.monotonic()
    for pairs, group in by_contexts(outgoing):
        dispatch.run(pairs, group, associations)
    report.seconds = time.monotonic() - started
    return report


def _sort(paths: Iterable[Path], report: Report, dispatch: Dispatch) -> list[Outgoing]:
    """What can be sent; the rest is reported."""
    outgoing: list[Outgoing] = []
    outlines = Outlines()
    for path in files_below(paths):
        match examine(path, outlines):
            case Outgoing() as found:
                outgoing.append(found)
            case Skipped() as skipped:
                report.skipped.append(skipped)
                dispatch.note()
            case Problem() as problem:
                report.unsendable.append(problem)
                dispatch.note()
    return outgoing


def by_contexts(outgoing: Iterable[Outgoing]) -> list[tuple[list[Pair], list[Outgoing]]]:
    """The files in groups whose SOP classes and syntaxes fit into one association."""
    files: dict[Pair, list[Outgoing]] = defaultdict(list)
    for each in outgoing:
        files[each.sop_class, each.transfer_syntax].append(each)
    pairs = list(files)
    chunks = [pairs[at : at + MAX_CONTEXTS] for at in range(0, len(pairs), MAX_CONTEXTS)]
    return [(chunk, [each for pair in chunk for each in files[pair]]) for chunk in chunks]


def send_with_progress(
    paths: Iterable[Path],
    *,
    host: str,
    port: int,
    associations: int = 1,
    calling_ae: str = CALLING_AE,
    called_ae: str = CALLED_AE,
    secured_by: ssl.SSLContext | None = None,
) -> Report:
    """The same with a bar on the terminal; what was not sent is told on standard error."""
    files = list(files_below(paths))
    columns = (TextColumn("{task.description}"), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[rate]}"), console=console, transient=True) as progress:
        bar = progress.add_task("sending", total=len(files), rate="")
        started = time.monotonic()

        def show(done: int, acknowledged: int, size: int) -> None:
            seconds = max(time.monotonic() - started, 1e-9)
            rate = f"{acknowledged / seconds:.0f} instances/s {size / seconds / 1e6:.1f} MB/s"
            progress.update(bar, completed=done, rate=rate)

        report = send(
            files,
            host=host,
            port=port,
            associations=associations,
            calling_ae=calling_ae,
            called_ae=called_ae,
            secured_by=secured_by,
            on_progress=show,
        )
    tell(report)
    return report


def tell(report: Report) -> None:
    """What was not sent, and why, on standard error."""
    for skipped in report.skipped:
        warn(f"skipped {skipped.path}: {skipped.why}")
    for problem in report.failed:
        warn(f"failed {problem.path}: {problem.why}")


def _address(to: str | None, data: Path | None) -> tuple[str, int]:
    try:
        told = to or site_of(data).endpoints()["dicom"]
    except SiteDown as error:
        fail(str(error))
    host, separator, port = told.rpartition(":")
    if not separator or not port.isdigit():
        fail(f"not an address: {told} (HOST:PORT is meant)")
    return host.strip("[]"), int(port)


def command(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, or folders with all files in them.")],
    to: Annotated[str | None, typer.Option("--to", metavar="HOST:PORT", help="Default: the site's DICOM port.")] = None,
    associations: Annotated[int, typer.Option("--associations", min=1, max=64, help="How many at a time.")] = 1,
    calling_ae: Annotated[str, typer.Option("--calling-ae", help="Our AE title.")] = CALLING_AE,
    called_ae: Annotated[str, typer.Option("--called-ae", help="The receiver's AE title.")] = CALLED_AE,
    use_tls: Annotated[bool, typer.Option("--tls", help="The receiver at --to speaks TLS.")] = False,
    ca: Annotated[Path | None, typer.Option("--ca", help="Who signs its certificate. Default: the system's.")] = None,
    cert: Annotated[Path | None, typer.Option("--cert", help="Certificate that proves us, PEM; with --key.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="Its key, PEM.")] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Send DICOM files over C-STORE, byte for byte in the syntax they have; status 0 when all were acknowledged."""
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        fail(f"no such file or folder: {', '.join(missing)}")
    for title in (calling_ae, called_ae):
        if not _AE_TITLE.fullmatch(title):
            fail(f"no AE title: '{title}' (1 to 16 characters of ASCII)", status=2)
    if not use_tls and (ca or cert or key):
        fail("--ca, --cert and --key are for --tls", status=2)
    secured_by = _secured(to, ca, cert, key) if use_tls else None
    host, port = _address(to, data)
    report = (send if json else send_with_progress)(
        paths,
        host=host,
        port=port,
        associations=associations,
        calling_ae=calling_ae,
        called_ae=called_ae,
        secured_by=secured_by,
    )
    if json:
        emit_json(report.document())
    else:
        say(report.sentence())
    raise typer.Exit(0 if report.is_success else 1)


def _secured(to: str | None, ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    if to is None:
        fail("say with --to HOST:PORT who speaks TLS: the port of a site on one box does not", status=2)
    if (cert is None) != (key is None):
        fail("--cert and --key go together", status=2)
    try:
        return tls.client_context(ca, cert, key)
    except OSError as error:
        fail(f"cannot be used for TLS: {', '.join(str(path) for path in (ca, cert, key) if path)}: {tls.reason(error)}")
