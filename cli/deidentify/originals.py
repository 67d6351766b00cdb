"""Files as originals of a de-identification: described as ingest's manifest describes what it took in."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from cli.dicom_files import Outgoing, Problem, Skipped, examine
from cli.outlines import Outlines
from contracts.formats.manifest import Instance
from services.deid.domain.file_meta import file_meta

#: Digests prove what lay in a store; a file that is read once where it lies has none.
_NO_DIGEST = "0" * 64
#: Preamble and prefix (PS3.10 section 7.1).
_PREFIX_END = 132

#: What lies beside images and is none, by the ends of names; DICOM files are taken whatever their names are.
_BESIDE = re.compile(
    r".*\.(txt|md|rst|json|csv|tsv|xml|html?|css|js|ya?ml|log|pdf|png|jpe?g|gif|bmp|ico|tiff?|docx?|xlsx?|zip|gz|7z|tar"
    r"|md5|sha1|sha256|exe|dll|jar|inf|ini|lnk|db)",
    re.IGNORECASE,
)
_NAMES = frozenset({"readme", "license", "licence", "version", "changelog", "notice", "makefile", "lockfile"})


class Changed(Exception):
    """A file is gone, or not what it was when it was read first: what was found out about it says nothing of it."""


def stamp_of(status: os.stat_result) -> str:
    """What differs when a file is written to, or is another one under its name."""
    return f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns}"


def find(path: Path, outlines: Outlines | None = None) -> Outgoing | Problem | Skipped:
    """What ``path`` is; never raises for what is in it. ``outlines`` are those of the files before it."""
    match examine(path, outlines):
        case Outgoing(is_named=False):
            return Problem(path, "no SOP Instance UID in its data set: what goes out would have no name of its own")
        case Outgoing() as outgoing:
            return outgoing
        case Problem(why=why) as problem:
            is_other = why.startswith("not DICOM")
            return Skipped(path, why) if is_other and lies_beside(path) else problem
        case Skipped() as skipped:
            return skipped


def lies_beside(path: Path) -> bool:
    """Whether the name of a file that is no DICOM says that it never was meant to be one."""
    other = _BESIDE.fullmatch(path.name) is not None or path.name.lower() in _NAMES
    return other or path.name.startswith(".")


def describe(outgoing: Outgoing) -> Instance:
    """The line of a manifest for a file, without digests; where its pixels can't be told, all of it is header."""
    pixels = outgoing.pixels
    return Instance(
        length=outgoing.offset + outgoing.length,
        crc32=0,
        sop_class_uid=outgoing.sop_class,
        sop_instance_uid=outgoing.sop_instance,
        transfer_syntax=outgoing.transfer_syntax,
        dataset_offset=outgoing.offset,
        meta_sha256=_NO_DIGEST,
        dataset_sha256=_NO_DIGEST,
        header_sha256=_NO_DIGEST,
        header_length=pixels.at if pixels else outgoing.length,
        pixel_offset=pixels.offset if pixels else None,
        pixel_length=pixels.length if pixels else None,
    )


@contextmanager
def opened(found: Outgoing, stamp: str) -> Iterator[tuple[BinaryIO, Instance]]:
    """The file as Part 10 has it; where there is no File Meta Information, ours is put in front of a copy.

    Changed when it cannot be opened, or has another ``stamp`` than before it was read first.
    """
    instance = describe(found)
    try:
        file = found.path.open("rb")
    except OSError:
        raise Changed from None
    with file:
        if stamp_of(os.fstat(file.fileno())) != stamp:
            raise Changed
        if file.read(_PREFIX_END)[-4:] == b"DICM":
            yield file, instance
            return
        meta = file_meta(instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax)
        with TemporaryFile() as whole:
            whole.write(meta)
            file.seek(instance.dataset_offset)
            shutil.copyfileobj(file, whole)
            length = whole.tell()
            yield whole, instance.model_copy(update={"dataset_offset": len(meta), "length": length})
