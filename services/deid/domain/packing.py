"""A de-identified pack from the instances of a plan: what goes out, what is withheld, and what relates the two."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from os import SEEK_END
from types import MappingProxyType
from typing import BinaryIO, NamedTuple

from contracts.events import PackPlanned, PlannedCopy
from contracts.formats import archive
from contracts.formats.digests import FileDigests
from contracts.formats.errors import FormatError
from contracts.formats.manifest import Instance, ManifestHead, parse_instance
from services.deid.domain.documents import (
    AtHand,
    Entries,
    Identity,
    Record,
    read_originals,
    read_record,
    tell,
    told,
    write_headers,
    write_links,
    write_manifest,
    write_original,
    write_record,
)
from services.deid.domain.looking.scanner import Finding
from services.deid.domain.names import NOBODY, Names, together
from services.deid.domain.part10 import Project, clean_file, named_in
from services.deid.domain.pseudonyms import ProjectKey
from services.deid.domain.record import Step
from services.deid.domain.reporting import add_steps, write_report
from services.deid.domain.withholding import Reason, Withheld
from services.deid.domain.workspace import Document, Span, Workspace, append, part_of, read_span
from shared.errors import RetryLater, Unprocessable

DEFAULT_PROJECT = "default"
#: Instances whose UIDs are asked for together.
TOGETHER = 64

#: Nothing but what the instances themselves name.
NOTHING_ELSE: Mapping[str, Names] = MappingProxyType({})

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


class Released(NamedTuple):
    """A file that goes out: its new UID and digest, by which it is sorted, and where it and what is told of it lie.

    ``findings`` are those of the second look in what a person lets go all the same.
    """

    sop_instance_uid: str
    dataset_sha256: str
    file: Span
    told: Span
    findings: tuple[Finding, ...] = ()


class Held(NamedTuple):
    """An original that does not go out, by UID and digests, why, and where its bytes and its ``Record`` lie."""

    sop_instance_uid: str
    meta_sha256: str
    dataset_sha256: str
    reason: Reason
    span: Span
    record: Span = Span(0, 0)


def projects_of(event: PackPlanned) -> dict[str, tuple[PlannedCopy, ...]]:
    """The de-identified copies of a plan by project; empty when it has none."""
    found: dict[str, list[PlannedCopy]] = {}
    for copy in event.copies:
        if copy.form == "deidentified":
            found.setdefault(copy.project or DEFAULT_PROJECT, []).append(copy)
    return {project: tuple(copies) for project, copies in sorted(found.items())}


@dataclass(frozen=True)
class CleanPack:
    """A finished pack in the workspace that it was made in; ``released`` in the order of its entries.

    ``studies`` is what was searched for in each of them, by UID.

    ``manifest_sha256`` is what two runs over the same input have in common: the manifest covers every file.
    """

    pack_id: str
    manifest_sha256: str
    released: tuple[Released, ...]
    held: tuple[Held, ...]
    workspace: Workspace
    steps: Counter[Step] = field(default_factory=Counter)
    studies: Mapping[str, Names] = field(default_factory=dict)

    def report(self, project: Project, entries: Mapping[str, str]) -> bytes:
        """What was done to which attribute by which rule; ``entries``, those withheld, tell by id for which reason."""
        return write_report(self.pack_id, project, len(self.released), entries, self.steps)

    @property
    def manifest(self) -> Document:
        """The manifest."""
        return _written(self.workspace.manifest)

    @property
    def headers(self) -> Document:
        """The headers of the cleaned files."""
        return _written(self.workspace.headers)

    @property
    def links(self) -> Document:
        """Which original became which entry."""
        return _written(self.workspace.links)

    @property
    def entries(self) -> Entries:
        """The instances as the manifest has them."""
        return Entries(self.manifest, len(self.released))

    def archive(self) -> Iterator[bytes | bytearray | memoryview]:
        """instances.zip in chunks."""
        files = (one.file for one in self.released)
        return archive.iterate(self.entries, lambda _: read_span(self.workspace.cleaned, next(files)))

    def renamed(self, pack_id: str) -> "CleanPack":
        """The same files as another pack: only the manifest tells the difference."""
        self.workspace.manifest.seek(0)
        self.workspace.manifest.truncate()
        return replace(
            _finished(pack_id, self.released, self.held, self.workspace), steps=self.steps, studies=self.studies
        )

    def held_file(self, held: Held) -> Iterator[bytes]:
        """The bytes of a withheld original."""
        return read_span(self.workspace.held, held.span)

    def held_record(self, held: Held) -> Record:
        """What is noted of a withheld original."""
        return read_record(self.workspace, held.record)

    def identities(self) -> Iterator[Identity]:
        """Who became whom, as often as it is in a file."""
        for one in told(self.workspace, (each.told for each in self.released)):
            yield from one.identities


def pack_id_of(source_pack_id: str, project: Project, edition: str = "", release: int = 0) -> str:
    """What the de-identified pack of a pack is called.

    ``edition`` is the manifest's digest of one that came later, ``release`` how often its study was called back before.
    """
    later = [f"release {release}"] if release else []
    return project.key.token("pack", source_pack_id, *later, *([edition] if edition else []))


def clean_pack(
    pack_id: str,
    originals: Iterable[Original],
    project: Project,
    workspace: Workspace,
    studies: Mapping[str, Names] = NOTHING_ELSE,
) -> CleanPack:
    """De-identify every instance for ``project``; InputDamaged, or RetryLater, when one can't be read anywhere.

    Each is searched for what any instance of its study in the pack names, and for what ``studies`` has of it.
    """
    released: list[Released] = []
    held: list[Held] = []
    steps: Counter[Step] = Counter()
    names = _fetched(_expected(originals, project.key), project, workspace, studies)
    for original in read_originals(workspace):
        one = _clean(original, names.get(original.study, NOBODY), project, workspace, steps, pack_id)
        (released if isinstance(one, Released) else held).append(one)  # type: ignore[arg-type]
    # By new UID: the order of the originals would be a trace of when they were made.
    released.sort()
    pack = _finished(pack_id, tuple(released), tuple(held), workspace)
    write_headers(workspace, [one.told for one in released])
    write_links(workspace, [one.told for one in released])
    return replace(pack, steps=steps, studies=names)


def _expected(originals: Iterable[Original], key: ProjectKey) -> Iterator[Original]:
    """The originals; the UIDs that the manifest names are asked for together, since a map may have to keep them."""
    remaining = iter(originals)
    while some := tuple(islice(remaining, TOGETHER)):
        named = (uid for one in some for uid in (one.instance.study_uid, one.instance.series_uid) if uid)
        key.expect(chain(named, (one.instance.sop_instance_uid for one in some)))
        yield from some


def _fetched(
    originals: Iterable[Original], project: Project, workspace: Workspace, studies: Mapping[str, Names]
) -> dict[str, Names]:
    """Fetch all originals; what those of each study name: who is named in one may be written of in any other."""
    names = dict(studies)
    for original in originals:
        span = fetch(original, workspace.at_hand)
        named = named_in(part_of(workspace.at_hand, span), original.instance, project)
        write_original(workspace, AtHand(original.instance, named.study, span))
        if named.study:
            names[named.study] = together(names.get(named.study, NOBODY), named.names)
    return names


def _finished(pack_id: str, released: tuple[Released, ...], held: tuple[Held, ...], workspace: Workspace) -> CleanPack:
    spans = [one.told for one in released]
    first = next((parse_instance(one.instance) for one in told(workspace, spans[:1])), None)
    head = ManifestHead(form="deidentified", id=pack_id, study_uid=first.study_uid if first else None)
    return CleanPack(pack_id, write_manifest(workspace, head, spans), released, held, workspace)


def _written(file: BinaryIO) -> Document:
    return Document(file, file.seek(0, 2))


def _clean(
    at_hand: AtHand, study: Names, project: Project, workspace: Workspace, steps: Counter[Step], pack_id: str
) -> Released | Held:
    start, original = workspace.cleaned.tell(), at_hand.instance
    source = part_of(workspace.at_hand, at_hand.span)
    try:
        cleaned = clean_file(source, original, project, workspace.cleaned, study=study)
    except Withheld as refusal:
        return _hold(at_hand, Record(original), refusal.code, start, workspace)
    new = cleaned.instance
    file = Span(start, new.length)
    told = (("manifest", new.model_dump_json().encode()), ("headers", cleaned.line), ("pack", pack_id.encode()))
    findings = project.look.at(source, part_of(workspace.cleaned, file), told, study)
    if findings and not project.approved:
        return _hold(at_hand, Record(original, findings), Reason.SECOND_LOOK, start, workspace)
    workspace.cleaned.seek(0, 2)
    add_steps(steps, cleaned.steps)
    return Released(new.sop_instance_uid, new.dataset_sha256, file, tell(workspace, cleaned, original), findings)


def _hold(at_hand: AtHand, record: Record, reason: Reason, start: int, workspace: Workspace) -> Held:
    """Put the original aside, and throw away what was made of it."""
    workspace.cleaned.seek(start)
    workspace.cleaned.truncate()
    original = at_hand.instance
    span = append(workspace.held, read_span(workspace.at_hand, at_hand.span))
    digests = original.meta_sha256, original.dataset_sha256
    return Held(original.sop_instance_uid, *digests, reason, span, write_record(workspace, record))


def fetch(original: Original, sink: BinaryIO) -> Span:
    """Append the file from the first source that holds it as it was received; where it lies."""
    later: RetryLater | None = None
    start = sink.seek(0, SEEK_END)
    for source in original.sources:
        sink.seek(start)
        sink.truncate()
        try:
            if _copied(source(), sink, FileDigests(original.instance)):
                return Span(start, original.instance.length)
        except RetryLater as away:
            later = away
        except (Unprocessable, FormatError):
            continue
    raise later or InputDamaged()


def _copied(chunks: Iterable[bytes], sink: BinaryIO, digests: FileDigests) -> bool:
    """Whether what was copied has the digests."""
    for chunk in chunks:
        digests.update(chunk)
        sink.write(chunk)
    return digests.match()
