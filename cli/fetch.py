"""``causeway fetch``: one instance out of one copy, read from that copy alone and unsealed here."""

import asyncio
import hashlib
import sys
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from cli.api import Api, ApiError
from cli.options import Data, site_of
from cli.output import fail
from cli.site import Site
from contracts.formats.errors import FormatError
from contracts.formats.keys import FileKeyEncryptionKeys, StudyKeyRecord
from contracts.formats.manifest import Instance
from contracts.formats.unseal import PackReader
from shared.errors import CausewayError
from shared.storage.parts import part_key
from shared.storage.targets import Target, load_targets, open_key_bucket, open_target


class NotThere(Exception):
    """There is no such copy; the message says what there is."""


def fetch(
    sop_instance_uid: Annotated[str, typer.Argument(help="SOP Instance UID of the original.")],
    source: Annotated[str, typer.Option("--from", help="Target to read from, such as onsite or cloud-a.")],
    digest: Annotated[str | None, typer.Option(help="SHA-256 of the data set, where there are versions.")] = None,
    form: Annotated[str, typer.Option(help="identified or deidentified")] = "identified",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; default standard output.")
    ] = None,
    data: Data = None,
) -> None:
    """Write the DICOM file as it lies in one copy: read from that target alone, unsealed and checked."""
    site = site_of(data)
    try:
        document = Api.of(site).get(f"/api/where/{sop_instance_uid}")
        copy = choose(document, source, digest, form)
        asyncio.run(_write(site, copy, output))
    except (ApiError, NotThere, CausewayError, FormatError) as error:
        fail(str(error))


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


def choose(document: dict[str, Any], target: str, digest: str | None, form: str) -> dict[str, Any]:
    """The newest copy of the version in ``target``; NotThere when there is none."""
    versions = [one for one in document["versions"] if digest in (None, one["dataset_sha256"])]
    if not versions:
        raise NotThere("no version has this digest: see `causeway where`")
    copies = [one for one in versions[0]["copies"] if (one["target"], one["form"]) == (target, form)]
    if not copies:
        raise NotThere(f"no {form} copy lies in {target}: see `causeway where`")
    return max(copies, key=lambda one: int(one["generation"]))


async def read_instance(site: Site, copy: dict[str, Any], output: BinaryIO) -> None:
    """Write the Part 10 file of ``copy``; NotThere, FormatError or CausewayError when it is not what was sealed."""
    reader = _reader(site, load_targets(site.targets)[copy["target"]], copy)
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
    digest = hashlib.sha256()
    async for piece in reader.instance(instance):
        digest.update(piece)
        output.write(piece)
    if digest.hexdigest() != instance.file_sha256:
        raise NotThere("the copy is damaged: the file has another digest than its manifest says")
