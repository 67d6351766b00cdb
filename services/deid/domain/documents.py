"""Manifest, headers and links of a de-identified pack, written from what was told of each file as it was cleaned.

Nothing of an instance stays in memory but where its lines are: there may be tens of thousands.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from contracts.formats.headers import renumber
from contracts.formats.manifest import Instance, ManifestHead, open_manifest, parse_instance, place, write_lines
from services.deid.domain.looking.scanner import Finding
from services.deid.domain.part10 import Cleaned
from services.deid.domain.workspace import Document, Span, Workspace, append, read_span


class Identity(NamedTuple):
    """Who or what became what: ``kind`` is patient, study, series or instance; only patients have an issuer.

    ``person`` is the match token of a patient, "" where none was told.
    """

    kind: str
    issuer: str
    original: str
    replacement: str
    person: str = ""


class Told(NamedTuple):
    """What is told of a cleaned file: its line of the manifest, not placed yet; that of the headers, without a number;
    which original it was; and who is in it."""

    instance: bytes
    header: bytes
    origin: dict[str, str]
    identities: tuple[Identity, ...]


class Record(NamedTuple):
    """What is noted of a withheld original: how its file is described, and what the second look found, if it did."""

    instance: Instance
    findings: tuple[Finding, ...] = ()


class AtHand(NamedTuple):
    """An original that was fetched: how it is described, the study that its header tells, and where it lies."""

    instance: Instance
    study: str
    span: Span


def write_original(workspace: Workspace, original: AtHand) -> None:
    """Note an original that was fetched."""
    about = json.dumps([original.study, original.span]).encode()
    append(workspace.described, (about, b"\n", _written(original.instance), b"\n"))


def read_originals(workspace: Workspace) -> Iterator[AtHand]:
    """The originals that were fetched, in that order."""
    workspace.described.seek(0)
    lines = iter(workspace.described.readline, b"")
    for about in lines:
        study, span = json.loads(about)
        yield AtHand(parse_instance(next(lines)), study, Span(*span))


def write_record(workspace: Workspace, record: Record) -> Span:
    """Note a withheld original; where that lies."""
    lines = (_written(record.instance), json.dumps(record.findings).encode())
    return append(workspace.told, (b"\n".join(lines),))


def read_record(workspace: Workspace, span: Span) -> Record:
    """What was noted of a withheld original."""
    instance, findings = b"".join(read_span(workspace.told, span)).split(b"\n")
    return Record(parse_instance(instance), tuple(Finding(*each) for each in json.loads(findings)))


def _written(instance: Instance) -> bytes:
    return instance.model_dump_json(exclude_none=True).encode()


def tell(workspace: Workspace, cleaned: Cleaned, original: Instance) -> Span:
    """Note what is told of a cleaned file; where that lies."""
    new, person = cleaned.instance, cleaned.person
    origin = {
        "sop_instance_uid": original.sop_instance_uid,
        "dataset_sha256": original.dataset_sha256,
        "transfer_syntax": original.transfer_syntax,
        "new_sop_instance_uid": new.sop_instance_uid,
        "new_study_uid": new.study_uid,
        "new_dataset_sha256": new.dataset_sha256,
    }
    identities = (
        Identity("patient", person.issuer, person.patient_id, person.pseudonym, original.routing.patient_token or ""),
        Identity("study", "", original.study_uid or "", new.study_uid or ""),
        Identity("series", "", original.series_uid or "", new.series_uid or ""),
        Identity("instance", "", original.sop_instance_uid, new.sop_instance_uid),
    )
    lines = (_written(new), json.dumps([origin, identities]).encode())
    return append(workspace.told, (b"\n".join((*lines, cleaned.line)),))


def told(workspace: Workspace, spans: Iterable[Span]) -> Iterator[Told]:
    """What was told, one after the other."""
    for span in spans:
        instance, about, header = b"".join(read_span(workspace.told, span)).split(b"\n", 2)
        origin, identities = json.loads(about)
        yield Told(instance, header, origin, tuple(Identity(*one) for one in identities))


def write_manifest(workspace: Workspace, head: ManifestHead, spans: Iterable[Span]) -> str:
    """The manifest of these files in this order; its SHA-256."""
    digest = hashlib.sha256()
    instances = (parse_instance(one.instance) for one in told(workspace, spans))
    for line in write_lines(head, place(instances)):
        digest.update(line)
        workspace.manifest.write(line)
    return digest.hexdigest()


def write_headers(workspace: Workspace, spans: Iterable[Span]) -> None:
    """The headers, with the numbers of their entries."""
    append(workspace.headers, renumber((one.header,) for one in told(workspace, spans)))


def write_links(workspace: Workspace, spans: Iterable[Span]) -> None:
    """Which original became which entry, as a JSON array."""
    append(workspace.links, _links(told(workspace, spans)))


def _links(found: Iterable[Told]) -> Iterator[bytes]:
    yield b"["
    for number, one in enumerate(found, start=1):
        link = {"entry": f"{number:06d}.dcm", **one.origin}
        yield (b"," if number > 1 else b"") + b"\n" + json.dumps(link).encode()
    yield b"\n]\n"


class Entries(Sequence[Instance]):
    """The instances of a written manifest, to be read in order, one in memory at a time."""

    def __init__(self, manifest: Document, count: int) -> None:
        self._manifest = manifest
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Instance]:
        return open_manifest(self._manifest.chunks())[1]

    def __getitem__(self, index: Any) -> Any:
        chosen = range(self._count)[index]
        if isinstance(chosen, range):
            return [self[number] for number in chosen]
        return next(islice(iter(self), chosen, None))
