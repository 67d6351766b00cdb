"""The sealed pack: an envelope header and the pack's plaintext under its object key (docs/formats.md section 5).

::

    magic (16) ‖ u32 header length ‖ header (canonical JSON) ‖ streaming ciphertext (contracts/formats/streaming.py)

The associated data of the ciphertext is the header's bytes, so that a header cannot be exchanged. The object key is
wrapped under the study key (AES-KWP, RFC 5649) and committed to: AES-GCM alone does not tell one key from another.
"""

import hmac
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding, aes_key_wrap_with_padding
from pydantic import Field

from contracts.events.base import Fact
from contracts.events.common import Form, Sections
from contracts.formats.cutting import Cutter
from contracts.formats.errors import CommitmentMismatch, KeyRefused, SealBroken
from contracts.formats.streaming import KEY_SIZE, PREFIX, SEGMENT, Buffer, SegmentCipher, Segments, new_prefix

FORMAT: Literal["causeway.sealed/1"] = "causeway.sealed/1"
MAGIC = b"causeway.sealed\n"

#: Magic, length, header and the ciphertext's prefix together fit into the first 8 KiB: one small read opens a pack.
ENVELOPE_LIMIT = 8192

_FIXED = len(MAGIC) + 4


class SealedHeader(Fact):
    """What stands readable before the ciphertext: opaque ids, the wrapped key, lengths; nothing of a person."""

    format: Literal["causeway.sealed/1"] = FORMAT
    sealed_id: str
    form: Form
    key_domain: str
    study_key_id: str
    wrapped_object_key: Annotated[str, Field(pattern=r"^[0-9a-f]{80}$")]
    commitment_salt: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    commitment: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    segment_size: Literal[262144] = SEGMENT
    sections: Sections

    @property
    def plaintext_size(self) -> int:
        """The bytes of the three sections together."""
        return self.sections.manifest + self.sections.headers + self.sections.archive

    def to_bytes(self) -> bytes:
        """Canonical JSON: members sorted, no white space, ASCII."""
        value = self.model_dump(mode="json")
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def _commit(object_key: bytes, salt: bytes) -> bytes:
    return HKDF(SHA512(), 32, salt, b"commit").derive(object_key)


def new_object_key() -> bytes:
    """A fresh key for one sealed pack."""
    return os.urandom(KEY_SIZE)


def prepare(
    *,
    sealed_id: str,
    form: Form,
    key_domain: str,
    study_key_id: str,
    study_key: bytes,
    object_key: bytes,
    sections: Sections,
    randomness: Callable[[int], bytes] = os.urandom,
) -> SealedHeader:
    """The header of a pack that is sealed with ``object_key`` in the domain of ``study_key`` (32 bytes each)."""
    salt = randomness(32)
    return SealedHeader(
        sealed_id=sealed_id,
        form=form,
        key_domain=key_domain,
        study_key_id=study_key_id,
        wrapped_object_key=aes_key_wrap_with_padding(study_key, object_key).hex(),
        commitment_salt=salt.hex(),
        commitment=_commit(object_key, salt).hex(),
        sections=sections,
    )


def recover_object_key(header: SealedHeader, study_key: bytes) -> bytes:
    """The object key; KeyRefused when the study key does not unwrap it, CommitmentMismatch when it is another."""
    try:
        object_key = aes_key_unwrap_with_padding(study_key, bytes.fromhex(header.wrapped_object_key))
    except (InvalidUnwrap, ValueError) as error:
        raise KeyRefused("study-key-refused") from error
    expected = bytes.fromhex(header.commitment)
    if not hmac.compare_digest(_commit(object_key, bytes.fromhex(header.commitment_salt)), expected):
        raise CommitmentMismatch("commitment-mismatch")
    return object_key


@dataclass(frozen=True)
class Envelope:
    """The beginning of a sealed pack: the parsed header, its bytes as they stand there, the ciphertext's prefix."""

    header: SealedHeader
    raw: bytes
    prefix: bytes

    @property
    def ciphertext_offset(self) -> int:
        """Where the streaming ciphertext begins, its 40-byte prefix included."""
        return _FIXED + len(self.raw)

    @property
    def body_offset(self) -> int:
        """Where the first segment begins."""
        return self.ciphertext_offset + PREFIX

    @property
    def sealed_size(self) -> int:
        """The bytes of the whole sealed pack."""
        return self.ciphertext_offset + Segments(self.header.plaintext_size).ciphertext_size

    def unlock(self, study_key: bytes) -> SegmentCipher:
        """The cipher of this pack; errors as ``recover_object_key``."""
        object_key = recover_object_key(self.header, study_key)
        return SegmentCipher(object_key, self.raw, self.prefix, self.header.plaintext_size)


def read_envelope(beginning: bytes) -> Envelope:
    """The envelope, from the first ENVELOPE_LIMIT bytes of a sealed pack or all of a shorter one; or SealBroken."""
    if beginning[: len(MAGIC)] != MAGIC:
        raise SealBroken("sealed-magic")
    end = _FIXED + int.from_bytes(beginning[len(MAGIC) : _FIXED], "big")
    if end + PREFIX > min(len(beginning), ENVELOPE_LIMIT):
        raise SealBroken("sealed-header")
    raw = bytes(beginning[_FIXED:end])
    try:
        header = SealedHeader.model_validate_json(raw)
        Segments(header.plaintext_size)
    except ValueError as error:  # a ValidationError is one
        raise SealBroken("sealed-header") from error
    return Envelope(header=header, raw=raw, prefix=bytes(beginning[end : end + PREFIX]))


def seal(
    plaintext: Iterable[Buffer],
    header: SealedHeader,
    object_key: bytes,
    randomness: Callable[[int], bytes] = os.urandom,
) -> Iterator[bytes]:
    """The sealed pack of ``plaintext`` (its three sections, in chunks of any size), envelope first, then by segment.

    Memory is one segment, whatever the chunks. SealBroken when the plaintext is not as long as the header says.
    """
    raw, prefix = header.to_bytes(), new_prefix(randomness)
    if _FIXED + len(raw) + PREFIX > ENVELOPE_LIMIT:
        raise ValueError("the ids in a header are short")
    cipher = SegmentCipher(object_key, raw, prefix, header.plaintext_size)
    yield MAGIC + len(raw).to_bytes(4, "big") + raw + prefix
    spans = (cipher.segments.span(index) for index in range(cipher.segments.count))
    cutter = Cutter((span.plain_size for span in spans), short="plaintext-too-short", long="plaintext-too-long")
    for index, piece in enumerate(cutter.cut(plaintext)):
        yield cipher.encrypt(index, piece)


class Unsealing:
    """Opens a sealed pack as it streams by: feed it every byte after the envelope, in order, in chunks of any size."""

    def __init__(self, cipher: SegmentCipher) -> None:
        self._cipher = cipher
        spans = (cipher.segments.span(index) for index in range(cipher.segments.count))
        self._cutter = Cutter((span.size for span in spans), short="sealed-truncated", long="sealed-overlong")
        self._index = 0

    def feed(self, chunk: Buffer) -> Iterator[bytes]:
        """The plaintext of the segments that ``chunk`` completes; SealBroken for a segment that is not as sealed."""
        for piece in self._cutter.feed(chunk):
            yield self._cipher.decrypt(self._index, piece)
            self._index += 1

    def finish(self) -> None:
        """State that nothing follows; SealBroken when the pack is cut short."""
        self._cutter.finish()


def open_sealed(chunks: Iterable[Buffer], study_key: Callable[[SealedHeader], bytes]) -> Iterator[bytes]:
    """The plaintext of a whole sealed pack; ``study_key`` finds the key that a header asks for.

    A consumer must not trust what it was given before the iteration ended without an error: a cut shows at the end.
    """
    source, beginning = iter(chunks), bytearray()
    while len(beginning) < ENVELOPE_LIMIT and (chunk := next(source, None)) is not None:
        beginning += chunk
    envelope = read_envelope(bytes(beginning))
    unsealing = Unsealing(envelope.unlock(study_key(envelope.header)))
    yield from unsealing.feed(memoryview(beginning)[envelope.body_offset :])
    for chunk in source:
        yield from unsealing.feed(chunk)
    unsealing.finish()
