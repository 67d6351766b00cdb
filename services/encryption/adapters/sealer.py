"""Sealing into the buffer: the ciphertext is made on a worker thread, a part at a time, and stored as it comes."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

from services.encryption.adapters.buffer import Attempt, SealingBuffer
from services.encryption.domain.orders import Receipt, SealOrder
from services.encryption.domain.plaintext import InputReleased, Pack, plaintext
from services.encryption.domain.sealing import (
    CipherPart,
    Ciphertext,
    SealingDiffers,
    receipt,
    repaired,
    seal,
    seal_again,
)
from services.encryption.ports import StudyKeys
from shared.errors import CausewayError
from shared.messaging.threads import in_thread
from shared.storage import BlobMissing


class Sealer:
    """Seals packs. Nothing it does counts before the receipt; whatever ends it early is cleared away."""

    def __init__(self, *, buffer: SealingBuffer, study_keys: StudyKeys) -> None:
        self._buffer = buffer
        self._study_keys = study_keys

    async def seal(self, order: SealOrder, pack: Pack) -> Receipt:
        record, study_key = await self._study_keys.obtain(order.study_key_id, order.key_domain)
        ciphertext = seal(order, pack, plaintext(pack), study_key)
        async with self._attempt(order, 1) as attempt:
            parts = [await attempt.put(part) async for part in _produced(ciphertext)]
        return await self._commit(receipt(order, pack, ciphertext, record, parts))

    async def repair(self, order: SealOrder, pack: Pack, receipt: Receipt, broken: frozenset[int]) -> Receipt:
        _, study_key = await self._study_keys.obtain(order.study_key_id, order.key_domain)
        ciphertext = seal_again(receipt, pack, plaintext(pack), study_key)
        async with self._attempt(order, receipt.generation + 1) as attempt:
            replaced = await _replace(attempt, ciphertext, receipt, broken)
        return await self._commit(repaired(receipt, replaced))

    @asynccontextmanager
    async def _attempt(self, order: SealOrder, generation: int) -> AsyncIterator[Attempt]:
        attempt = self._buffer.attempt(order.sealed_id, generation)
        try:
            yield attempt
        except BaseException:
            with suppress(CausewayError):
                await attempt.abandon()
            raise

    async def _commit(self, made: Receipt) -> Receipt:
        """The receipt that counts. An attempt whose commit went unanswered is left alone: it may be the one."""
        counts = await self._buffer.commit(made)
        await self._buffer.tidy(counts)
        return counts


async def _replace(
    attempt: Attempt, ciphertext: Ciphertext, receipt: Receipt, broken: frozenset[int]
) -> dict[int, str]:
    """The new keys of the broken parts. Every part is compared, so that not one byte of another plaintext is kept."""
    known = {part.number: part.sha256 for part in receipt.sealed.parts}
    replaced: dict[int, str] = {}
    async for part in _produced(ciphertext):
        if part.sha256 != known[part.number]:
            raise SealingDiffers
        if part.number in broken:
            replaced[part.number] = (await attempt.put(part)).key
    return replaced


async def _produced(ciphertext: Ciphertext) -> AsyncIterator[CipherPart]:
    parts = ciphertext.parts()
    while (part := await _next(parts)) is not None:
        yield part


async def _next(parts: Iterator[CipherPart]) -> CipherPart | None:
    try:
        return await in_thread(next, parts, None)
    except BlobMissing:  # everything was there when the input was opened
        raise InputReleased from None
