"""The bytes that are passed on."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from contracts.events import Batch, BatchArchived
from contracts.formats.manifest import Instance

#: ``read(start)``: the file of an instance from byte ``start`` on, checked; InputMissing, InputDamaged, RetryLater.
Source = Callable[[int], AsyncIterator[bytes]]


class Contents(Protocol):
    """A batch that was opened."""

    source_ae: str | None
    instances: Sequence[Instance]

    def sources(self, instance: Instance) -> AsyncIterator[Source]:
        """Where its file may be read, in the order in which they are worth asking."""
        ...


class Inputs(Protocol):
    """What arrived."""

    async def open(self, batch: Batch) -> Contents:
        """The contents of a batch; InputMissing or InputDamaged for its manifest."""
        ...


class Archives(Protocol):
    """Where batches lie once their landing archive is released."""

    async def note(self, event: BatchArchived) -> None:
        """Keep the proven identified copies."""
        ...
