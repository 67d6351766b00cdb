"""What encryption needs from outside."""

from typing import Protocol

from contracts.events import Blob, Event
from services.encryption.domain.orders import Receipt, SealOrder
from services.encryption.domain.plaintext import Pack


class Publisher(Protocol):
    """The bus, as a speaker sees it."""

    async def publish(self, event: Event, *, id: str) -> int:  # noqa: A002
        """Publish until the stream has it."""


class Inputs(Protocol):
    """Plain bytes that may be sealed."""

    async def open(self, order: SealOrder) -> Pack:
        """The pack, its manifests checked; InputDamaged, or BlobMissing when its bytes are nowhere any longer."""


class StudyKeys(Protocol):
    """The study keys of this site."""

    async def obtain(self, study_key_id: str, domain: str) -> tuple[Blob, bytes]:
        """The key's record, durable in the key store, and the key; made when there is none, but not once destroyed."""

    async def destroy(self, study_key_id: str) -> str:
        """Delete the record for good; where it was."""


class Buffer(Protocol):
    """The sealing buffer."""

    async def receipt(self, order: SealOrder) -> Receipt | None:
        """The newest receipt of a sealing, None when it was never finished."""

    async def broken(self, receipt: Receipt) -> frozenset[int]:
        """Numbers of the parts that are not as the receipt says; none when the buffer was released."""

    async def tidy(self, receipt: Receipt) -> None:
        """Remove parts that no receipt names: what an interrupted attempt left."""

    async def release(self, sealed_id: str) -> None:
        """Remove the parts; the receipt stays."""

    async def sealings(self, pack_id: str) -> list[Receipt]:
        """The newest receipt of a pack under each domain."""


class Sealing(Protocol):
    """The work itself."""

    async def seal(self, order: SealOrder, pack: Pack) -> Receipt:
        """Seal into the buffer; the receipt that is there in the end. InputDamaged; InputReleased when it went."""

    async def repair(self, order: SealOrder, pack: Pack, receipt: Receipt, broken: frozenset[int]) -> Receipt:
        """Make the broken parts again, the same bytes under new keys; as ``seal``, SealingDiffers if that can't be."""
