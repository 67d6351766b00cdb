"""``causeway fetch``: one instance out of one copy, read from that copy alone and unsealed here."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from cli.api import Api, ApiError
from cli.options import Data, site_of
from cli.output import fail, warn
from cli.site import Site
from cli.targets import NoTargets, targets_of
from contracts.formats.digests import FileDigests
from contracts.formats.errors import FormatError
from contracts.formats.keys import FileKeyEncryptionKeys, StudyKeyRecord
from contracts.formats.manifest import Instance
from contracts.formats.unseal import PackReader
from shared.errors import CausewayError
from shared.storage.parts import part_key
from shared.storage.targets import Target, open_key_bucket, open_target

#: The better a copy's state, the rather it is read.
_STATES = ("damaged", "written", "proven")


class NotThere(Exception):
    """There is no such copy; the message says what there is."""


class Ambiguous(NotThere):
    """Several versions have such a copy; the message lists them."""

    def __init__(self, versions: list[dict[str, Any]]) -> None:
        told = [f"{one['dataset_sha256']} ({one['transfer_syntax']})" for one in versions]
        option = "--digest" if len({one["dataset_sha256"] for one in versions}) > 1 else "--transfer-syntax"
        super().__init__(f"there are {len(versions)} versions, say {option}:\n" + "\n".join(told))


def fetch(
    sop_instance_uid: Annotated[str, typer.Argument(help="SOP Instance UID of the original.")],
    source: Annotated[str, typer.Option("--from", help="Target to read from, such as onsite or cloud-a.")],
    digest: Annotated[str | None, typer.Option(help="SHA-256 of the data set, where there are versions.")] = None,
    syntax: Annotated[
        str | None, typer.Option("--transfer-syntax", help="Its UID, where versions differ in nothing else.")
    ] = None,
    form: Annotated[str, typer.Option(help="identified or deidentified")] = "identified",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; default standard output.")
    ] = None,
    data: Data = None,
) -> None:
    """Write the DICOM file as it lies in one copy: read from that target alone, unsealed and checked.

    Of several generations the newest proven one is read. An instance with several versions needs --digest.
    """
    if output is not None and not output.parent.is_dir():
        fail(f"there is no folder {output.parent} to write to")
    site = site_of(data)
    try:
        document = Api.of(site).get(f"/api/where/{sop_instance_uid}")
        copies = copies_of(document, source, digest, form, syntax)
        copy = best(copies)
        if note := note_on(copy, copies):
            warn(note)
        asyncio.run(_write(site, copy, output))
    except (ApiError, NoTargets, NotThere, CausewayError, FormatError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or output or 'standard output'}: {error.strerror or error}")


async def _write(site: Site, copy: dict[str, Any], output: Path | None) -> None:
    """A file appears under its name only when its digest is right; standard output can only be told afterwards."""
    if output is None:
        await read_instance(site, copy, sys.stdout.buffer)
        return
    partial = output.with_name(f"{output.name}.part")
    try:
        with partial.open("wb") as file:
            await read_instance(site, copy, file)
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)


def choose(
    document: dict[str, Any], target: str, digest: str | None, form: str, syntax: str | None = None
) -> dict[str, Any]:
    """The copy in ``target`` that is read of the one version that is meant; NotThere, Ambiguous."""
    return best(copies_of(document, target, digest, form, syntax))


def copies_of(
    document: dict[str, Any], target: str, digest: str | None, form: str, syntax: str | None = None
) -> list[dict[str, Any]]:
    """Every copy in ``target`` of the one version that is meant; NotThere, and Ambiguous where several may be."""
    wanted = {"dataset_sha256": digest, "transfer_syntax": syntax}
    versions = [
        one for one in document["versions"] if all(value in (None, one[name]) for name, value in wanted.items())
    ]
    if not versions:
        raise NotThere("no version has this digest and syntax: see `causeway where`")
    here = [(one, [copy for copy in one["copies"] if _lies(copy, target, form)]) for one in versions]
    found = [(version, copies) for version, copies in here if copies]
    if not found:
        raise NotThere(f"no {form} copy lies in {target}: see `causeway where`")
    if len(found) > 1:
        raise Ambiguous([version for version, _ in found])
    return found[0][1]


def _lies(copy: dict[str, Any], target: str, form: str) -> bool:
    return (copy["target"], copy["form"]) == (target, form)


def best(copies: list[dict[str, Any]]) -> dict[str, Any]:
    """The newest proven copy, else the newest that is not known to be damaged."""
    return max(copies, key=lambda one: (_STATES.index(one["state"]), int(one["generation"])))


def note_on(copy: dict[str, Any], copies: list[dict[str, Any]]) -> str | None:
    """What is worth knowing of the choice: that it is not proven, or that a newer one was passed over."""
    newer = [one for one in copies if int(one["generation"]) > int(copy["generation"])]
    if not newer and copy["state"] == "proven":
        return None
    return f"{', '.join(_told(one) for one in (*newer, copy))} and read"


def _told(copy: dict[str, Any]) -> str:
    state = "not proven yet" if copy["state"] == "written" else copy["state"]
    return f"generation {copy['generation']} is {state}"


async def read_instance(site: Site, copy: dict[str, Any], output: BinaryIO) -> None:
    """Write the Part 10 file of ``copy``; NotThere, FormatError or CausewayError when it is not what was sealed."""
    targets = targets_of(site)
    if copy["target"] not in targets:
        raise NotThere(f"{site.targets} does not name the target {copy['target']}")
    reader = _reader(site, targets[copy["target"]], copy)
    wanted = f"{copy['entry']:06d}.dcm"
    async for instance in reader.instances():
        if instance.entry == wanted:
            await _copy_checked(reader, instance, output)
            return
    raise NotThere("the copy's manifest has no such entry")


def _reader(site: Site, target: Target, copy: dict[str, Any]) -> PackReader:
    store, keys = open_target(target), open_key_bucket(target)

    async def read_range(number: int, start: int, length: int) -> bytes:
        return await store.get(copy["parts"][number - 1]["key"], start, length)

    async def study_key(_: str) -> StudyKeyRecord:
        return StudyKeyRecord.parse(await keys.get(part_key(copy["study_key"], 1)))

    sizes = [(number, part["size"]) for number, part in enumerate(copy["parts"], 1)]
    return PackReader(read_range, sizes, study_key, FileKeyEncryptionKeys(site.keks))


async def _copy_checked(reader: PackReader, instance: Instance, output: BinaryIO) -> None:
    digests = FileDigests(instance)
    async for piece in reader.instance(instance):
        digests.update(piece)
        output.write(piece)
    if not digests.match():
        raise NotThere("the copy is damaged: the file has another digest than its manifest says")
