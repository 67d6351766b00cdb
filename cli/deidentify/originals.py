"""Files as originals of a de-identification: described as ingest's manifest describes what it took in."""

import os
import re
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from cli.dicom_files import Outgoing, Problem, Skipped, examine
from contracts.formats.manifest import Instance
from services.dicom_ingest.domain.bounds import Bounds
from services.dicom_ingest.domain.elements import UNDEFINED, Encoding, Walk, is_deflated
from services.dicom_ingest.domain.window import Malformed, Window

#: Digests prove what lay in a store; a file that is read once where it lies has none.
_NO_DIGEST = "0" * 64
_DELIMITER = 8

#: What lies beside images and is none, by the ends of names; DICOM files are taken whatever their names are.
_BESIDE = re.compile(
    r".*\.(txt|md|rst|json|csv|tsv|xml|html?|css|js|ya?ml|log|pdf|png|jpe?g|gif|bmp|ico|tiff?|docx?|xlsx?|zip|gz|7z|tar"
    r"|md5|sha1|sha256|exe|dll|jar|inf|ini|lnk|db)",
    re.IGNORECASE,
)
_NAMES = frozenset({"readme", "license", "licence", "version", "changelog", "notice", "makefile", "lockfile"})


class Found(NamedTuple):
    """A DICOM file, and what the engine must know of it."""

    path: Path
    instance: Instance


def find(path: Path) -> Found | Problem | Skipped:
    """What ``path`` is; never raises for what is in it."""
    match examine(path):
        case Outgoing() as outgoing:
            return _found(outgoing)
        case Problem(why=why) as problem:
            is_other = why.startswith("not DICOM")
            return Skipped(path, why) if is_other and lies_beside(path) else problem
        case Skipped() as skipped:
            return skipped


def lies_beside(path: Path) -> bool:
    """Whether the name of a file that is no DICOM says that it never was meant to be one."""
    other = _BESIDE.fullmatch(path.name) is not None or path.name.lower() in _NAMES
    return other or path.name.startswith(".")


def _found(outgoing: Outgoing) -> Found | Problem:
    try:
        with outgoing.path.open("rb") as file:
            return Found(outgoing.path, describe(file, outgoing))
    except OSError as error:
        return Problem(outgoing.path, f"cannot be read: {error.strerror or error}")


def describe(file: BinaryIO, outgoing: Outgoing) -> Instance:
    """The line of a manifest for the file, without digests."""
    header_length, pixel_offset, pixel_length = _spans(file, outgoing)
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
        header_length=header_length,
        pixel_offset=pixel_offset,
        pixel_length=pixel_length,
    )


def _spans(file: BinaryIO, outgoing: Outgoing) -> tuple[int, int | None, int | None]:
    """Length of the header; offset and length of the pixels' value, None where the engine has to find out."""
    if is_deflated(outgoing.transfer_syntax):
        return outgoing.length, None, None
    handle, size = file.fileno(), outgoing.length
    window = Window(lambda at, count: os.pread(handle, min(count, size - at), outgoing.offset + at), size)
    walk = Walk(window, Encoding.of(outgoing.transfer_syntax), Bounds())
    with suppress(Malformed):
        for _element in walk.header():
            pass
        if walk.pixel_data is not None:
            at, offset, length = walk.pixel_data
            return at, offset, _items(walk, offset) if length == UNDEFINED else length
    return size, None, None


def _items(walk: Walk, offset: int) -> int:
    """The bytes of all items of encapsulated pixels, without the delimiter (PS3.5 section A.4)."""
    ((end, _nothing),) = deque(walk.fragments(offset), maxlen=1)
    return end - _DELIMITER - offset
