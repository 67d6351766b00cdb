"""A de-identified pack from the instances of a plan: what goes out, what is withheld, and what relates the two."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from contracts.events import PackPlanned, PlannedCopy
from contracts.formats import archive
from contracts.formats.errors import FormatError
from contracts.formats.headers import header_line
from contracts.formats.manifest import Instance, Manifest, place, write_manifest
from services.deid.domain.part10 import Cleaned, Project, clean_file
from services.deid.domain.pixels import CHUNK
from services.deid.domain.withholding import Reason, Withheld
from shared.errors import RetryLater, Unprocessable

DEFAULT_PROJECT = "default"

#: Gives the Part 10 file of one instance anew, in chunks of any size.
Opener = Callable[[], Iterable[bytes]]


class InputDamaged(Unprocessable):
    """No source holds the instance as ingest received it."""

    def __init__(self) -> None:
        super().__init__("input-damaged")


class Original(NamedTuple):
    """An instance of the plan, and where its file can be read, the nearest source first."""

    instance: Instance
    sources: tuple[Opener, ...]


class Span(NamedTuple):
    """Where a file lies in a workspace: offset and length in bytes."""

    offset: int
    length: int


class Released(NamedTuple):
    """An instance that goes out, where its cleaned file lies, and which original it was."""

    cleaned: Cleaned
    span: Span
    original: Instance


class Held(NamedTuple):
    """An original that does not go out, why, and where its bytes lie."""

    original: Instance
    reason: Reason
    span: Span


@dataclass
class Workspace:
    """Three files on site, gone when they are closed: the original at hand, cleaned files, withheld originals."""

    at_hand: BinaryIO
    cleaned: BinaryIO
    held: BinaryIO

    def close(self) -> None:
        """Drop the bytes."""
        for file in (self.at_hand, self.cleaned, self.held):
            file.close()


def projects_of(event: PackPlanned) -> dict[str, tuple[PlannedCopy, ...]]:
    """The de-identified copies of a plan by project; empty when it has none."""
    found: dict[str, list[PlannedCopy]] = {}
    for copy in event.copies:
        if copy.form == "deidentified":
            found.setdefault(copy.project or DEFAULT_PROJECT, []).append(copy)
    return {project: tuple(copies) for project, copies in sorted(found.items())}


@dataclass(frozen=True)
class CleanPack:
    """A finished pack: its documents, its entries in the archive's order, and what stayed behind."""

    pack_id: str
    manifest: bytes
    headers: bytes
    links: bytes
    entries: tuple[Instance, ...]
    released: tuple[Released, ...]
    held: tuple[Held, ...]

    @property
    def manifest_sha256(self) -> str:
        """What two runs over the same input have in common: it covers every file."""
        return hashlib.sha256(self.manifest).hexdigest()

    def archive(self, workspace: Workspace) -> Iterator[bytes | bytearray | memoryview]:
        """instances.zip in chunks, from the workspace that the pack was made in."""
        spans = {entry.entry: one.span for entry, one in zip(self.entries, self.released, strict=True)}
        return archive.iterate(self.entries, lambda entry: read_span(workspace.cleaned, spans[entry.entry]))


def clean_pack(source_pack_id: str, originals: Iterable[Original], project: Project, workspace: Workspace) -> CleanPack:
    """De-identify every instance for ``project``; InputDamaged, or RetryLater, when one can't be read anywhere."""
    released: list[Released] = []
    held: list[Held] = []
    for original in originals:
        _fetch(original, workspace.at_hand)
        one = _clean(original.instance, project, workspace)
        (released if isinstance(one, Released) else held).append(one)  # type: ignore[arg-type]
    # By new UID: the order of the originals would be a trace of when they were made.
    released.sort(key=lambda one: (one.cleaned.instance.sop_instance_uid, one.cleaned.instance.dataset_sha256))
    return _finished(project.key.token("pack", source_pack_id), tuple(released), tuple(held))


def _finished(pack_id: str, released: tuple[Released, ...], held: tuple[Held, ...]) -> CleanPack:
    entries = tuple(place(one.cleaned.instance for one in released))
    study_uid = next((entry.study_uid for entry in entries), None)
    manifest = Manifest(form="deidentified", id=pack_id, study_uid=study_uid, instances=entries)
    pairs = tuple(zip(entries, released, strict=True))
    return CleanPack(
        pack_id=pack_id,
        manifest=write_manifest(manifest),
        headers=b"".join(header_line(entry.entry, one.cleaned.header) for entry, one in pairs),
        links=json.dumps([_link(entry, one.original) for entry, one in pairs], indent=0).encode(),
        entries=entries,
        released=released,
        held=held,
    )


def _link(entry: Instance, original: Instance) -> dict[str, str | None]:
    return {
        "entry": entry.entry,
        "sop_instance_uid": original.sop_instance_uid,
        "dataset_sha256": original.dataset_sha256,
        "transfer_syntax": original.transfer_syntax,
        "new_sop_instance_uid": entry.sop_instance_uid,
        "new_study_uid": entry.study_uid,
        "new_dataset_sha256": entry.dataset_sha256,
    }


def _clean(original: Instance, project: Project, workspace: Workspace) -> Released | Held:
    start = workspace.cleaned.tell()
    try:
        cleaned = clean_file(workspace.at_hand, original, project, workspace.cleaned)
    except Withheld as refusal:
        workspace.cleaned.seek(start)
        workspace.cleaned.truncate()
        return Held(original, refusal.code, _append(workspace.at_hand, original.length, workspace.held))
    return Released(cleaned, Span(start, cleaned.instance.length), original)


def _append(source: BinaryIO, length: int, sink: BinaryIO) -> Span:
    start = sink.tell()
    for chunk in read_span(source, Span(0, length)):
        sink.write(chunk)
    return Span(start, length)


def read_span(file: BinaryIO, span: Span) -> Iterator[bytes]:
    """The bytes of ``span`` in chunks."""
    for at in range(span.offset, span.offset + span.length, CHUNK):
        file.seek(at)
        yield file.read(min(CHUNK, span.offset + span.length - at))


def _fetch(original: Original, sink: BinaryIO) -> None:
    """Copy the file from the first source that holds it as it was received."""
    later: RetryLater | None = None
    for source in original.sources:
        try:
            if _copied(source(), sink) == original.instance.file_sha256:
                return
        except RetryLater as away:
            later = away
        except (Unprocessable, FormatError):
            continue
    raise later or InputDamaged()


def _copied(chunks: Iterable[bytes], sink: BinaryIO) -> str:
    sink.seek(0)
    sink.truncate()
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
        sink.write(chunk)
    return digest.hexdigest()
