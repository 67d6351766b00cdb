"""``python -m cli.setup``: the one-shot jobs of docker-compose and Kubernetes; every one may be repeated."""

import asyncio
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
import yaml

from cli.destinations_file import destination_names
from cli.output import fail, say
from cli.setup import manifests
from cli.setup import provision as provisioning
from cli.setup.vault import Surroundings, Vault
from shared.storage.targets import load_targets

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)

_DEFAULT = Surroundings()
Folder = Annotated[Path, typer.Option("--into", metavar="DIR", help="Where the secrets lie, or are to lie.")]
Names = list[str]


@app.command()
def secrets(
    into: Folder,
    site: Annotated[str, typer.Option(help="The site's name, in certificates.")] = _DEFAULT.site,
    namespace: Annotated[str, typer.Option(help="Kubernetes namespace.")] = _DEFAULT.namespace,
    database: Annotated[str, typer.Option(help="HOST:PORT of PostgreSQL.")] = _DEFAULT.database,
    host: Annotated[Names | None, typer.Option(help="A name or address by which people reach the router.")] = None,
    targets: Annotated[Path | None, typer.Option(help="The site's targets.yaml.")] = None,
    destinations: Annotated[Path | None, typer.Option(help="The site's destinations.yaml.")] = None,
    key_domain: Annotated[Names | None, typer.Option(help="Make the key-encryption key of this domain.")] = None,
    project: Annotated[Names | None, typer.Option(help="Make the key of this research project.")] = None,
) -> None:
    """Make keys, certificates, passwords and tokens that are missing; renew certificates that end within 60 days."""
    around = replace(
        _DEFAULT,
        site=site,
        namespace=namespace,
        database=database,
        hosts=(*_DEFAULT.hosts, *(host or ())),
        targets=_names_in(targets, load_targets) if targets else _DEFAULT.targets,
        destinations=_names_in(destinations, destination_names) if destinations else _DEFAULT.destinations,
        key_domains=tuple(key_domain or ()),
        projects=tuple(project or ()),
    )
    Vault(into, around).lay_out()
    say(f"secrets are in {into}; what to keep of them: docs/operations/keys.md")


def _names_in(path: Path, read: Callable[[Path], Iterable[str]]) -> tuple[str, ...]:
    """The names in a file that must be there."""
    try:
        path.stat()
        return tuple(read(path))
    except OSError as error:
        fail(f"{path} cannot be read: {error.strerror}", status=2)
    except ValueError as error:
        fail(f"{path} is refused: {error}", status=2)


@app.command()
def credentials(target: Annotated[str, typer.Argument(help="A target of targets.yaml.")], into: Folder) -> None:
    """Take the credentials of a target from standard input: JSON with access_key and secret_key."""
    try:
        Vault(into).accept_credentials(target, sys.stdin.read())
    except ValueError:
        fail("standard input must be JSON with access_key and secret_key", status=2)
    say(f"{target}: taken")


@app.command()
def dicom_certificate(into: Folder) -> None:
    """Take the certificate for DICOM over TLS from standard input: PEM with its chain and its key."""
    _take("the certificate", Vault(into).accept_certificate, "dicom")


@app.command()
def dicom_clients(into: Folder) -> None:
    """Take from standard input, as PEM, the authorities that sign the certificates of modalities."""
    _take("the authorities", Vault(into).accept_clients, "dicom")


@app.command()
def mllp_certificate(into: Folder) -> None:
    """Take the certificate for MLLP over TLS from standard input: PEM with its chain and its key."""
    _take("the certificate", Vault(into).accept_certificate, "mllp")


@app.command()
def mllp_clients(into: Folder) -> None:
    """Take from standard input, as PEM, the authorities that sign the certificates of senders."""
    _take("the authorities", Vault(into).accept_clients, "mllp")


@app.command()
def worklist_certificate(into: Folder) -> None:
    """Take the certificate for the worklist over TLS from standard input: PEM with its chain and its key."""
    _take("the certificate", Vault(into).accept_certificate, "worklist")


@app.command()
def worklist_clients(into: Folder) -> None:
    """Take from standard input, as PEM, the authorities that sign the certificates of modalities that ask for it."""
    _take("the authorities", Vault(into).accept_clients, "worklist")


def _take(what: str, accept: Callable[[str, str], None], way: str) -> None:
    try:
        accept(way, sys.stdin.read())
    except ValueError as error:
        fail(f"standard input is not what is wanted: {error}", status=2)
    say(f"{what}: taken")


@app.command()
def kubernetes(
    into: Folder,
    namespace: Annotated[str, typer.Option(help="Kubernetes namespace.")] = _DEFAULT.namespace,
    stand_ins: Annotated[bool, typer.Option("--stand-ins", help="With those of overlays/local's servers.")] = False,
) -> None:
    """Print the secrets as Kubernetes objects, for `kubectl apply -f -`."""
    try:
        objects = list(manifests.secrets(into, namespace, stand_ins=stand_ins))
    except OSError as error:
        fail(f"{error.filename} cannot be read: {error.strerror}", status=2)
    yaml.safe_dump_all(objects, sys.stdout, sort_keys=False)


@app.command()
def provision(
    prune: Annotated[bool, typer.Option("--prune", help="Remove consumers that no plan has any more.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Fail when a target does not answer.")] = False,
) -> None:
    """Make streams, consumers and buckets what the contracts and targets.yaml say."""
    try:
        missing = asyncio.run(provisioning.provision(provisioning.Settings(), prune=prune))
    except TimeoutError:
        fail("the bus does not answer")
    for name in missing:
        say(f"{name} does not answer: its buckets are to be made later, by the same command")
    if missing and strict:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
