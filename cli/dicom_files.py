"""DICOM files as they lie on disk: which of them can be sent, in which syntax, and which bytes are the data set.

Nothing is decoded: a file's data set is sent byte for byte. So a file is only looked over: its meta information
(PS3.10 section 7.1), its SOP UIDs, and whether it is as long as its lengths say.
"""

import os
import stat
import struct
import warnings
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pydicom

from cli.outlines import NOTHING, Outlines, Seen
from services.dicom_ingest.domain.elements import UNDEFINED, Encoding, PixelData, Walk, is_deflated
from services.dicom_ingest.domain.negotiation import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, is_identifier
from services.dicom_ingest.domain.window import CutShort, Malformed, Window

_DIRECTORY = "1.2.840.10008.1.3.10"
_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018
_META_SOP_CLASS, _META_SOP_INSTANCE, _META_SYNTAX = 0x00020002, 0x00020003, 0x00020010
_FIRST_ELEMENT = struct.Struct("<HH2s")
#: A tag; VR and length of an element of a short VR; a sequence delimitation item. Bytes.
_TAG, _SHORT_HEAD, _DELIMITER = 4, 4, 8
_SOP = frozenset({_SOP_CLASS, _SOP_INSTANCE})
_META_LIMIT = 64 * 1024
#: What the File Meta Information is called among the outlines, which are told apart by transfer syntax.
_META = "meta"
_INFLATE_LIMIT = 1024 * 1024
#: So much of a data set is compared with those before it, bytes.
_FIRST = 64 * 1024


@dataclass(frozen=True)
class Outgoing:
    """A data set of ``length`` bytes at ``offset`` of a file, and what C-STORE must say of it."""

    path: Path
    offset: int
    length: int
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    #: Within the data set: where the pixel element begins, where its value does, and its length; of encapsulated
    #: pixels that of all their items. None without pixels, and where nobody can tell.
    pixels: PixelData | None = field(default=None, compare=False)
    #: Whether the data set itself has its SOP Instance UID, or the file meta information alone tells it.
    is_named: bool = field(default=True, compare=False)


@dataclass(frozen=True)
class Problem:
    """A file that is not sent, or was not taken, and why in one line."""

    path: Path
    why: str


@dataclass(frozen=True)
class Skipped:
    """A file that is no instance and never was meant to be sent."""

    path: Path
    why: str


class Unsendable(Exception):
    """The text says why."""


def files_below(paths: Iterable[Path]) -> Iterator[Path]:
    """The files named, and all files below the folders named, in order of name; of links to folders the links."""
    for path in paths:
        if path.is_dir():
            for folder, folders, names in os.walk(path):
                folders.sort()
                links = [name for name in folders if Path(folder, name).is_symlink()]
                yield from (Path(folder, name) for name in sorted([*names, *links]))
        else:
            yield path


def examine(path: Path, outlines: Outlines | None = None) -> Outgoing | Problem | Skipped:
    """What ``path`` is; never raises for what is in it. ``outlines`` are those of the files before it."""
    try:
        _insist_on_a_file(path.stat().st_mode)
        with path.open("rb") as file:
            handle, size = file.fileno(), os.fstat(file.fileno()).st_size
            window = Window(lambda offset, count: os.pread(handle, count, offset), size)
            return _examine(path, window, outlines or Outlines())
    except Unsendable as error:
        return Problem(path, str(error))
    except OSError as error:
        return Problem(path, f"cannot be read: {error.strerror or error}")


def _insist_on_a_file(mode: int) -> None:
    """A pipe would be waited for, and a link to a folder may lead in a circle."""
    if stat.S_ISDIR(mode):
        raise Unsendable("a link to a folder, which is not followed: name the folder itself")
    if not stat.S_ISREG(mode):
        raise Unsendable("no file, but a pipe, a socket or a device")


def _examine(path: Path, file: Window, outlines: Outlines) -> Outgoing | Skipped:
    if not file.size:
        raise Unsendable("not DICOM: the file is empty")
    meta, offset = _meta(file, outlines)
    syntax = meta.get(_META_SYNTAX) or _guess(file, offset)
    if meta.get(_META_SOP_CLASS) == _DIRECTORY:
        return Skipped(path, "a DICOMDIR lists files and is no instance")
    found, pixels = _look_over(path, file, offset, syntax, outlines, has_meta=bool(meta))
    sop_class = found.get(_SOP_CLASS) or meta.get(_META_SOP_CLASS, "")
    sop_instance = found.get(_SOP_INSTANCE) or meta.get(_META_SOP_INSTANCE, "")
    if sop_class == _DIRECTORY:
        return Skipped(path, "a DICOMDIR lists files and is no instance")
    if not meta and not found:
        raise Unsendable("not DICOM")
    for name, value in (("SOP Class UID", sop_class), ("SOP Instance UID", sop_instance)):
        if not is_identifier(value):
            raise Unsendable(f"no {name}: DICOM, but nothing that can be stored")
    is_named = bool(found.get(_SOP_INSTANCE))
    return Outgoing(path, offset, file.size - offset, sop_class, sop_instance, syntax, pixels, is_named)


def _meta(file: Window, outlines: Outlines) -> tuple[dict[int, str], int]:
    """The File Meta Information and where the data set begins; some writers leave out the preamble."""
    has_prefix = file.size >= 132 and file.read(128, 4) == b"DICM"
    start = 132 if has_prefix else 0
    length = min(file.size - start, _META_LIMIT)
    if length < 8 or file.read(start, 2) != b"\x02\x00":
        return {}, start
    block = file.read(start, length)
    head = Window.over(block)
    encoding, seen = Encoding.of(EXPLICIT_LITTLE), Seen()
    end, values, bounds = passed = outlines.passed(_META, block)
    found = {tag: _uid(value) for tag, value in values.items()}
    try:
        for element in Walk(head, encoding, bounds).header(end):
            if element.tag >> 16 != 0x0002:
                break
            seen.note(end, element)
            end = element.end
            if element.vr == "UI":
                found[element.tag] = _uid(head.read(element.offset, element.length))
    except (CutShort, Malformed):
        # Where the data set begins in another encoding the walk ends here too.
        if not end:
            raise Unsendable("cut short in its file meta information") from None
    if passed is NOTHING:
        outlines.learn(_META, block, encoding, seen, end, found)
    return found, start + end


def _uid(value: bytes) -> str:
    return value.strip(b"\0 ").decode("ascii", "replace")


def _guess(file: Window, offset: int) -> str:
    """The syntax of a data set whose file does not tell it, as pydicom guesses it."""
    if file.size < offset + 8:
        raise Unsendable("not DICOM" if not offset else "cut short: no data set")
    group, _element, vr = _FIRST_ELEMENT.unpack(file.read(offset, 6))
    if not (vr.isalpha() and vr.isupper()):
        return IMPLICIT_LITTLE
    return EXPLICIT_BIG if group >= 0x0400 else EXPLICIT_LITTLE


def _look_over(
    path: Path, file: Window, offset: int, syntax: str, outlines: Outlines, *, has_meta: bool
) -> tuple[dict[int, str], PixelData | None]:
    """The SOP UIDs of the data set and where its pixels lie; Unsendable when it is cut short, or is none at all."""
    found: dict[int, str] = {}
    try:
        pixels = _walk(_dataset(file, offset, syntax), syntax, found, outlines)
        return found, None if is_deflated(syntax) else pixels
    except CutShort:
        if not has_meta and not found:
            raise Unsendable("not DICOM") from None
        raise Unsendable("cut short: a length in it reaches beyond the end of the file") from None
    except Malformed:
        if not has_meta:
            raise Unsendable("not DICOM") from None
        return found | _leniently(path), None


def _dataset(file: Window, offset: int, syntax: str) -> Window:
    if not is_deflated(syntax):
        return Window(lambda at, count: file.read(offset + at, min(count, file.size - offset - at)), file.size - offset)
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflate.decompress(file.read(offset, file.size - offset), _INFLATE_LIMIT)
    except zlib.error:
        raise Unsendable("its deflated data set is broken") from None
    if not inflate.eof and not inflate.unconsumed_tail:
        raise Unsendable("cut short: its deflated data set does not end")
    return Window.over(plain)


def _walk(dataset: Window, syntax: str, found: dict[int, str], outlines: Outlines) -> PixelData | None:
    encoding, seen = Encoding.of(syntax), Seen()
    block = dataset.read(0, min(dataset.size, _FIRST))
    at, values, bounds = passed = outlines.passed(syntax, block)
    found.update((tag, _uid(value)) for tag, value in values.items())
    walk = Walk(dataset, encoding, bounds)
    while True:
        short, end = walk.short(at)
        for tag, written in short:
            seen.starts.append(at)
            at += _TAG + len(written)
            if tag in _SOP:
                found[tag] = _uid(written[_SHORT_HEAD:])
        element = walk.next(end)
        if element is None:
            break
        seen.note(at, element)
        at = element.end
        if element.tag in _SOP:
            found[element.tag] = _uid(dataset.read(element.offset, element.length))
    if passed is NOTHING:
        outlines.learn(syntax, block, encoding, seen, at, found)
    pixels = walk.pixel_data
    if pixels is None:
        return None
    if pixels.length == UNDEFINED:
        ((end, _nothing),) = deque(walk.fragments(pixels.offset), maxlen=1)
        return pixels._replace(length=end - _DELIMITER - pixels.offset)
    if pixels.offset + pixels.length > dataset.size:
        raise CutShort
    return pixels


def _leniently(path: Path) -> dict[int, str]:
    """The SOP UIDs of a file that breaks the standard and that pydicom reads all the same."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is odd about it is said once, by whoever reports the file
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
        return {
            _SOP_CLASS: str(dataset.get("SOPClassUID", "")),
            _SOP_INSTANCE: str(dataset.get("SOPInstanceUID", "")),
        }
    except Exception:
        raise Unsendable("unreadable: its data set is not what its file meta information says") from None
