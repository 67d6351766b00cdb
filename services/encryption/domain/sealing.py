"""Sealing: from plaintext to parts, and the same parts once more (docs/formats.md section 5)."""

import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from contracts.events import PART_SIZE, Blob, Part, Sealed
from contracts.formats import sealed as format_
from contracts.formats.chunks import Chunks
from services.encryption.domain.orders import Receipt, SealOrder
from services.encryption.domain.plaintext import Buffer, Pack
from shared.errors import Unprocessable


class SealingDiffers(Unprocessable):
    """The pack can't be made again byte for byte: ``sealing-differs``."""

    def __init__(self) -> None:
        super().__init__("sealing-differs")


@dataclass(frozen=True)
class Ciphertext:
    """A sealed pack that is being made: its size is known, its bytes come as they are asked for."""

    envelope: bytes
    size: int
    chunks: Iterator[bytes]

    def parts(self) -> Iterator["CipherPart"]:
        """The numbered parts, all in one buffer: a part is gone when the next is asked for."""
        chunks = Chunks(itertools.chain([self.envelope], self.chunks))
        buffer = memoryview(bytearray(min(PART_SIZE, self.size)))
        for number, start in enumerate(range(0, self.size, PART_SIZE), start=1):
            data = buffer[: self.size - start]
            yield CipherPart(number, data, _fill(data, chunks))
        chunks.finish()


def _fill(data: memoryview, chunks: Chunks) -> str:
    """Fill ``data`` with the next bytes; their SHA-256, taken while they are at hand."""
    state, filled = hashlib.sha256(), 0
    for piece in chunks.take(len(data)):
        state.update(piece)
        data[filled : filled + len(piece)] = piece
        filled += len(piece)
    return state.hexdigest()


@dataclass(frozen=True)
class CipherPart:
    """One part of at most 64 MiB, and the SHA-256 of it."""

    number: int
    data: memoryview
    sha256: str

    def at(self, key: str) -> Part:
        """The part as an event tells it, lying at ``key``."""
        return Part(number=self.number, key=key, size=len(self.data), sha256=self.sha256)


def seal(order: SealOrder, pack: Pack, plaintext: Iterable[Buffer], study_key: bytes) -> Ciphertext:
    """Seal ``plaintext`` under a fresh object key."""
    object_key = format_.new_object_key()
    header = format_.prepare(
        sealed_id=order.sealed_id,
        form=order.form,
        key_domain=order.key_domain,
        study_key_id=order.study_key_id,
        study_key=study_key,
        object_key=object_key,
        sections=pack.sections,
    )
    return _ciphertext(plaintext, header, object_key, os.urandom)


def seal_again(receipt: Receipt, pack: Pack, plaintext: Iterable[Buffer], study_key: bytes) -> Ciphertext:
    """The bytes of a pack that was sealed before: same object key, same nonces, same plaintext.

    SealingDiffers when manifest or lengths are not the same. A difference deeper down gives a part with another
    digest than the receipt's, which its caller must not keep: a nonce serves two plaintexts then (NIST SP 800-38D
    section 8).
    """
    beginning = bytes.fromhex(receipt.envelope)
    envelope = format_.read_envelope(beginning)
    if (pack.manifest_sha256, pack.sections) != (receipt.sealed.manifest_sha256, receipt.sealed.sections):
        raise SealingDiffers
    object_key = format_.recover_object_key(envelope.header, study_key)
    again = _ciphertext(plaintext, envelope.header, object_key, _recorded(envelope.prefix))
    if again.envelope != beginning:
        raise SealingDiffers
    return again


def _recorded(prefix: bytes) -> Callable[[int], bytes]:
    """Gives out salt and nonce prefix as they stand in ``prefix``, behind its length byte."""
    rest = memoryview(prefix)[1:]

    def read(size: int) -> bytes:
        nonlocal rest
        piece, rest = bytes(rest[:size]), rest[size:]
        return piece

    return read


def _ciphertext(
    plaintext: Iterable[Buffer], header: format_.SealedHeader, object_key: bytes, randomness: Callable[[int], bytes]
) -> Ciphertext:
    chunks = format_.seal(plaintext, header, object_key, randomness)
    beginning = next(chunks)
    return Ciphertext(beginning, format_.read_envelope(beginning).sealed_size, chunks)


def receipt(order: SealOrder, pack: Pack, ciphertext: Ciphertext, study_key: Blob, parts: Iterable[Part]) -> Receipt:
    """The first receipt of a sealing whose parts are all in the buffer."""
    sealed = Sealed(
        sealed_id=order.sealed_id,
        pack_id=order.pack_id,
        form=order.form,
        key_domain=order.key_domain,
        study_key=study_key,
        study_ref=order.study_ref,
        instances=len(pack.manifest.instances),
        size=ciphertext.size,
        manifest_sha256=pack.manifest_sha256,
        sections=pack.sections,
        parts=tuple(parts),
    )
    return Receipt(generation=1, sealed=sealed, envelope=ciphertext.envelope.hex())


def repaired(receipt: Receipt, replaced: dict[int, str]) -> Receipt:
    """The next receipt of the same bytes; ``replaced`` has the new keys of some parts by number."""
    parts = tuple(part.model_copy(update={"key": replaced.get(part.number, part.key)}) for part in receipt.sealed.parts)
    sealed = receipt.sealed.model_copy(update={"parts": parts})
    return receipt.model_copy(update={"generation": receipt.generation + 1, "sealed": sealed})
