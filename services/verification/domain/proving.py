"""The proof of a copy: one pass over its bytes, from ciphertext digests down to each instance's pixels.

``pack.sealed`` says what the ciphertext of each part must be; the seal opens to a manifest whose digest it says as
well; the manifest says what each instance must be (docs/formats.md).
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from blake3 import blake3

from contracts.events import Part, Sealed
from contracts.formats.errors import FormatError, ManifestBroken, SealBroken
from contracts.formats.manifest import Instance, read_manifest
from contracts.formats.sealed import ENVELOPE_LIMIT, Envelope, Unsealing, read_envelope
from contracts.formats.streaming import PREFIX
from shared.errors import CausewayError

Damage = Literal["missing", "ciphertext", "seal", "manifest", "instances"]

T = TypeVar("T")

Buffer = bytes | bytearray | memoryview


class Disproved(CausewayError):
    """The copy is not what was sealed; ``damage`` says at which level it shows."""

    def __init__(self, damage: Damage) -> None:
        super().__init__(f"copy-{damage}")
        self.damage: Damage = damage


@dataclass(frozen=True)
class Proof:
    """What was read back and found right: the number of instances, the bytes of ciphertext."""

    instances: int
    size: int


class _Digest(Protocol):
    """A digest on its way."""

    def update(self, data: memoryview, /) -> object:
        """Take in some bytes."""

    def hexdigest(self) -> str:
        """What all of them make."""


class _Range:
    """The digest of bytes [start, end) of a stream."""

    def __init__(self, start: int, length: int, expected: str, state: _Digest) -> None:
        self._start, self._end, self._expected = start, start + length, expected
        self._state = state

    def feed(self, position: int, view: memoryview) -> None:
        """Take in what of ``view``, which stands at ``position`` of the stream, lies within."""
        piece = view[max(self._start - position, 0) : max(self._end - position, 0)]
        if piece:
            self._state.update(piece)

    def check(self) -> None:
        """Disproved unless the bytes have the digest that was expected."""
        if self._state.hexdigest() != self._expected:
            raise Disproved("instances")


def _ranges(instance: Instance) -> Iterator[_Range]:
    """What is proven of one Part 10 file: data set, header and pixels, positions within the file."""
    start = instance.dataset_offset
    yield _Range(start, instance.length - start, instance.dataset_sha256, hashlib.sha256())
    yield _Range(start, instance.header_length, instance.header_sha256, hashlib.sha256())
    if instance.pixel_blake3 is not None and instance.pixel_offset is not None and instance.pixel_length is not None:
        yield _Range(start + instance.pixel_offset, instance.pixel_length, instance.pixel_blake3, blake3())


class _Archive:
    """Checks the instances of an archive section as it streams by."""

    def __init__(self, instances: tuple[Instance, ...]) -> None:
        self._waiting = iter(instances)
        self._position = self.proven = 0
        self._next()

    def feed(self, view: memoryview) -> None:
        """Take in the next bytes of the section."""
        start, end = self._position, self._position + len(view)
        self._position = end
        while self._instance is not None and start < end:
            stop = min(end, self._instance.offset + self._instance.length)
            for each in self._ranges:
                each.feed(start - self._instance.offset, view[start - end + len(view) : stop - end + len(view)])
            start = stop
            if stop == self._instance.offset + self._instance.length:
                self._close()

    def _close(self) -> None:
        for each in self._ranges:
            each.check()
        self.proven += 1
        self._next()

    def _next(self) -> None:
        self._instance = next(self._waiting, None)
        self._ranges = tuple(_ranges(self._instance)) if self._instance else ()


class _Plaintext:
    """Checks the three sections of a pack's plaintext, in their order."""

    def __init__(self, sealed: Sealed) -> None:
        self._sealed = sealed
        self._position = self._headers = 0
        self._manifest = bytearray()
        self._archive: _Archive | None = None

    def feed(self, piece: bytes) -> None:
        """Take in the next bytes of the plaintext."""
        view, sections = memoryview(piece), self._sealed.sections
        ends = (sections.manifest, sections.manifest + sections.headers)
        cut = [max(0, min(len(view), end - self._position)) for end in ends]
        self._position += len(view)
        self._manifest += view[: cut[0]]
        self._headers += bytes(view[cut[0] : cut[1]]).count(b"\n")
        if self._position >= ends[0]:
            self._instances().feed(view[cut[1] :])

    def _instances(self) -> _Archive:
        if self._archive is None:
            self._archive = _Archive(self._read_manifest())
            self._manifest.clear()
        return self._archive

    def _read_manifest(self) -> tuple[Instance, ...]:
        if hashlib.sha256(self._manifest).hexdigest() != self._sealed.manifest_sha256:
            raise Disproved("manifest")
        manifest = read_manifest([bytes(self._manifest)])
        if (manifest.id, manifest.form) != (self._sealed.pack_id, self._sealed.form):
            raise Disproved("manifest")
        return manifest.instances

    def finish(self) -> int:
        """The number of instances proven; Disproved unless it is that of the seal, in archive and headers."""
        proven = self._instances().proven
        if not proven == self._headers == self._sealed.instances:
            raise Disproved("instances")
        return proven


class Proving:
    """One proof under way: feed it each part of a copy, from its first byte to its last, on any thread.

    A wrong seal does not end it: the ciphertext is hashed to the end of the part, because a copy that differs from
    what was sealed and a pack that was sealed wrongly are not the same damage.
    """

    def __init__(self, sealed: Sealed, study_key: bytes) -> None:
        self._sealed = sealed
        self._study_key = study_key
        self._plaintext = _Plaintext(sealed)
        self._beginning = bytearray()
        self._unsealing: Unsealing | None = None
        self._damage: Damage | None = None
        self._hash, self._size = hashlib.sha256(), 0

    def feed(self, chunk: Buffer) -> None:
        """Take in the next bytes of the present part."""
        self._hash.update(chunk)
        self._size += len(chunk)
        if self._damage is None:
            self._judge(lambda: self._open(chunk))

    def end_part(self, part: Part) -> None:
        """The part is over; Disproved, ``ciphertext``, unless it is byte for byte the one that was sealed."""
        digest, size = self._hash.hexdigest(), self._size
        self._hash, self._size = hashlib.sha256(), 0
        if (digest, size) != (part.sha256, part.size):
            raise Disproved("ciphertext")

    def finish(self) -> Proof:
        """The proof, after the last part; Disproved when anything was wrong."""
        instances = self._judge(self._close) if self._damage is None else None
        if self._damage is not None or instances is None:
            raise Disproved(self._damage or "seal")
        return Proof(instances=instances, size=self._sealed.size)

    def _judge(self, work: Callable[[], T]) -> T | None:
        try:
            return work()
        except Disproved as disproof:
            self._damage = disproof.damage
        except ManifestBroken:
            self._damage = "manifest"
        except FormatError:
            self._damage = "seal"
        return None

    def _open(self, chunk: Buffer) -> None:
        if self._unsealing is not None:
            self._pass_on(self._unsealing, chunk)
            return
        self._beginning += chunk
        if len(self._beginning) >= min(ENVELOPE_LIMIT, self._sealed.size):
            beginning = bytes(self._beginning)
            envelope = self._checked(read_envelope(beginning[:ENVELOPE_LIMIT]))
            self._unsealing = Unsealing(envelope.unlock(self._study_key))
            self._pass_on(self._unsealing, memoryview(beginning)[envelope.ciphertext_offset + PREFIX :])

    def _checked(self, envelope: Envelope) -> Envelope:
        """The envelope, if it is that of this very pack."""
        header, sealed = envelope.header, self._sealed
        told = (header.sealed_id, header.form, header.key_domain, header.sections, envelope.sealed_size)
        if told != (sealed.sealed_id, sealed.form, sealed.key_domain, sealed.sections, sealed.size):
            raise Disproved("seal")
        return envelope

    def _pass_on(self, unsealing: Unsealing, chunk: Buffer) -> None:
        for piece in unsealing.feed(chunk):
            self._plaintext.feed(piece)

    def _close(self) -> int:
        if self._unsealing is None:
            raise SealBroken("sealed-truncated")
        self._unsealing.finish()
        return self._plaintext.finish()
