"""manifest.json: what a batch or a pack consists of, one line per instance (docs/formats.md section 2).

A value of the line-oriented form is read and written with bounded memory, however many instances it has.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, ValidationError, model_validator

from contracts.events.base import Fact
from contracts.formats.errors import ManifestBroken
from contracts.formats.lines import split_lines
from contracts.formats.zip_records import local_header_size

FORMAT: Literal["causeway.manifest/1"] = "causeway.manifest/1"

#: Entry names have six digits, so an archive has at most this many instances.
INSTANCE_LIMIT = 999_999

#: More fragments of encapsulated Pixel Data than this are not indexed: the index would outgrow the line.
FRAGMENT_LIMIT = 4096

#: Flags that an instance may carry (docs/formats.md section 7).
OPAQUE_HEADER = "opaque-header"
INDEX_OMITTED = "index-omitted"

_TEXT_LIMIT = 64
_VALUES_LIMIT = 8


def _cut(value: Any) -> Any:
    return value[:_TEXT_LIMIT] if isinstance(value, str) else value


def _few(values: Any) -> Any:
    return tuple(values)[:_VALUES_LIMIT] if isinstance(values, list | tuple) else values


def _yes_or_no(value: Any) -> Any:
    return {"YES": True, "NO": False}.get(value.strip().upper()) if isinstance(value, str) else value


Bytes = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
#: BLAKE3 with 256 bits.
Blake3 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
#: At most 64 characters by PS3.5 section 9.1; longer ones of wrong senders are told apart up to 128.
UidText = Annotated[str, Field(max_length=128)]
#: A routing attribute never makes an instance unstorable: what is too long is cut.
Text = Annotated[str, BeforeValidator(_cut)]
Utc = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]


class NativeFrames(Fact):
    """``count`` frames of ``size`` bytes each, one behind the other from ``offset`` (within the data set)."""

    offset: Bytes
    size: Bytes
    count: Bytes


class Fragments(Fact):
    """Encapsulated Pixel Data (PS3.5 section A.4): offset (within the data set) and length of each fragment's value.

    The Basic Offset Table item is not among them. Units are bytes.
    """

    fragments: Annotated[tuple[tuple[Bytes, Bytes], ...], Field(max_length=FRAGMENT_LIMIT)]


Frames = NativeFrames | Fragments


class Routing(Fact):
    """What policy and the catalogue may decide on; tokens are HMACs under the site key, None for empty ids."""

    modality: Text | None = None
    body_part: Text | None = None
    station_name: Text | None = None
    image_type: Annotated[tuple[Text, ...], BeforeValidator(_few)] = ()
    burned_in: Annotated[bool | None, BeforeValidator(_yes_or_no)] = None
    study_date: Text | None = None
    series_number: int | None = None
    instance_number: int | None = None
    patient_token: str | None = None
    accession_token: str | None = None


class Instance(Fact):
    """One Part 10 file of an archive. Offsets and lengths are bytes.

    ``offset`` and ``length`` lie within the archive and span the file, not its local header. ``dataset_offset`` lies
    within the file; ``pixel_offset``, ``header_length`` and the frame index lie within the data set. ``meta_sha256``
    covers the file's bytes [0, dataset_offset), ``dataset_sha256`` all that follow; ``header_sha256`` covers data set
    bytes [0, header_length), ``pixel_blake3`` bytes [pixel_offset, pixel_offset + pixel_length).
    For a deflated transfer syntax (PS3.5 section A.5) the header is the whole data set as stored.
    """

    entry: Annotated[str, Field(pattern=r"^[0-9]{6}\.dcm$")] = "000001.dcm"
    offset: Bytes = 0
    length: Bytes
    crc32: Annotated[int, Field(ge=0, le=0xFFFFFFFF)]
    sop_class_uid: UidText
    sop_instance_uid: UidText
    study_uid: UidText | None = None
    series_uid: UidText | None = None
    transfer_syntax: UidText
    dataset_offset: Bytes
    meta_sha256: Sha256
    dataset_sha256: Sha256
    header_sha256: Sha256
    header_length: Bytes
    pixel_blake3: Blake3 | None = None
    pixel_offset: Bytes | None = None
    pixel_length: Bytes | None = None
    pixels: Frames | None = None
    routing: Routing = Routing()
    flags: tuple[str, ...] = ()

    @property
    def identity(self) -> tuple[str, str, str]:
        """What makes two instances the same one: SOP Instance UID, data set digest, transfer syntax."""
        return self.sop_instance_uid, self.dataset_sha256, self.transfer_syntax


class Source(Fact):
    """Who sent it: AE titles (PS3.8 section 9.3.2) and the peer's network address. On site only."""

    calling_ae: Text | None = None
    called_ae: Text | None = None
    address: Text | None = None


class ManifestHead(Fact):
    """The first line: everything but the instances, and how many of them follow."""

    format: Literal["causeway.manifest/1"] = FORMAT
    form: Literal["identified", "deidentified"]
    id: str
    study_uid: UidText | None = None
    study_ref: str | None = None
    source: Source | None = None
    received: Utc | None = None

    @model_validator(mode="after")
    def _tells_no_origin(self) -> "ManifestHead":
        if self.form == "deidentified" and (self.source or self.received or self.study_ref):
            raise ValueError("a de-identified manifest names neither source, time nor study_ref")
        return self


class Manifest(ManifestHead):
    """A batch or a pack: ``id`` is the batch id or the pack id. Entries stand in the archive's order."""

    instances: tuple[Instance, ...]

    @model_validator(mode="after")
    def _tells_no_person(self) -> "Manifest":
        if self.form == "deidentified" and any(_has_token(instance) for instance in self.instances):
            raise ValueError("a de-identified manifest carries no match token")
        return self

    @property
    def head(self) -> ManifestHead:
        """The manifest without its instances."""
        return ManifestHead.model_validate(self.model_dump(exclude={"instances"}))


def _has_token(instance: Instance) -> bool:
    return bool(instance.routing.patient_token or instance.routing.accession_token)


def _line(fact: Fact) -> bytes:
    return fact.model_dump_json(exclude_none=True).encode() + b"\n"


def write_lines(head: ManifestHead, instances: Iterable[Instance]) -> Iterator[bytes]:
    """The manifest's lines, each with its line feed: the head, then one per instance."""
    yield _line(head)
    for instance in instances:
        yield _line(instance)


def write_manifest(manifest: Manifest) -> bytes:
    """The whole document. The same manifest gives the same bytes."""
    return b"".join(write_lines(manifest.head, manifest.instances))


def parse_head(line: bytes) -> ManifestHead:
    """The head of a manifest; ManifestBroken when it is none of this version."""
    try:
        return ManifestHead.model_validate_json(line)
    except ValidationError as error:
        raise ManifestBroken("manifest-head") from error


def parse_instance(line: bytes) -> Instance:
    """One instance; ManifestBroken when the line is none."""
    try:
        return Instance.model_validate_json(line)
    except ValidationError as error:
        raise ManifestBroken("manifest-instance") from error


def open_manifest(chunks: Iterable[bytes]) -> tuple[ManifestHead, Iterator[Instance]]:
    """The head, and the instances as they are read: for manifests that need not fit into memory."""
    lines = split_lines(chunks)
    head = next(lines, None)
    if head is None:
        raise ManifestBroken("manifest-empty")
    return parse_head(head), (parse_instance(line) for line in lines)


def read_manifest(chunks: Iterable[bytes]) -> Manifest:
    """The whole manifest from chunks of bytes or a binary file; ManifestBroken when it is none."""
    head, instances = open_manifest(chunks)
    return assemble(head, instances)


def assemble(head: ManifestHead, instances: Iterable[Instance]) -> Manifest:
    """The manifest of a head and its instances; ManifestBroken when they contradict its form."""
    try:
        return Manifest(**dict(head), instances=tuple(instances))
    except ValidationError as error:
        raise ManifestBroken("manifest-form") from error


def place(instances: Iterable[Instance]) -> Iterator[Instance]:
    """The same instances with the entry names and offsets they have in an archive of just them, in this order.

    A pure function of the order and the lengths. ValueError when there are more than INSTANCE_LIMIT.
    """
    offset = 0
    for number, instance in enumerate(instances, start=1):
        if number > INSTANCE_LIMIT:
            raise ValueError("an archive has at most 999,999 instances")
        offset += local_header_size(instance.length)
        yield instance.model_copy(update={"entry": f"{number:06d}.dcm", "offset": offset})
        offset += instance.length


def merge(manifests: Sequence[Manifest], id: str) -> Manifest:  # noqa: A002 - the field's name
    """The manifest of a pack ``id`` of these batches, in this order: entries renumbered, offsets recomputed.

    ``received`` is the earliest; ``source`` stays only where all agree. ValueError for batches of different form or
    study: a pack is of one study.
    """
    first = manifests[0]
    if any(
        (each.form, each.study_uid, each.study_ref) != (first.form, first.study_uid, first.study_ref)
        for each in manifests
    ):
        raise ValueError("a pack is of one form and one study")
    received = min((each.received for each in manifests if each.received), default=None)
    return Manifest(
        form=first.form,
        id=id,
        study_uid=first.study_uid,
        study_ref=first.study_ref,
        source=first.source if all(each.source == first.source for each in manifests) else None,
        received=received,
        instances=tuple(place(instance for each in manifests for instance in each.instances)),
    )
