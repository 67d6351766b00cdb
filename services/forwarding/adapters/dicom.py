"""A destination that is sent to by C-STORE: one association at a time, kept open while there is something to send."""

import asyncio
from collections.abc import Iterable, Sequence

from contracts.formats.manifest import Instance
from services.forwarding.adapters.association import MAX_CONTEXTS, VERIFICATION, Association
from services.forwarding.domain.answers import (
    UID_INVALID,
    BrokenOff,
    DestinationAway,
    Outcome,
    failed,
    is_uid,
    of_c_store,
    of_context,
)
from services.forwarding.domain.destinations import Destination
from services.forwarding.ports.content import Source
from shared.dimse import Pair
from shared.errors import CausewayError
from shared.messaging.threads import in_thread
from shared.storage.ahead import read_ahead

#: Seconds after which an association is released that nothing is sent on.
IDLE = 2.0


class DicomSender:
    """Data sets go out as they came, in the transfer syntax that they have (PS3.4 annex B)."""

    def __init__(self, destination: Destination, *, idle: float = IDLE) -> None:
        self._destination = destination
        self._idle = idle
        self._upcoming: tuple[Pair, ...] = ()
        self._association: Association | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._releases: set[asyncio.Task[None]] = set()

    async def prepare(self, instances: Sequence[Instance], others: Sequence[Instance] = ()) -> None:
        both = (*instances, *others)
        self._upcoming = tuple(dict.fromkeys(pair for one in both if is_proposable(pair := _pair(one))))
        if self._association and any(self._association.result(_pair(one)) for one in instances):
            await self.close()  # what was refused a moment ago may have been allowed since

    async def store(self, instance: Instance, source: Source) -> Outcome:
        pair = _pair(instance)
        if not is_proposable(pair) or not is_uid(instance.sop_instance_uid):
            return failed(UID_INVALID)
        self._hold()
        try:
            return await self._store(pair, instance, source)
        except BaseException as error:
            # An input that was not there was noticed before anything was sent.
            if self._association and not (isinstance(error, CausewayError) and self._association.is_clean):
                self._drop()
            raise
        finally:
            self._rest()

    async def probe(self) -> None:
        """Returns when an association is accepted; DestinationAway."""
        association = await in_thread(Association, self._destination, [VERIFICATION])
        await in_thread(association.release)

    async def close(self) -> None:
        """Release what is open."""
        self._hold()
        association, self._association = self._association, None
        if association is not None:
            await in_thread(association.release)

    async def _store(self, pair: Pair, instance: Instance, source: Source) -> Outcome:
        association = await self._opened(pair)
        if (result := association.result(pair)) != 0:
            return of_context(result or 0)
        try:
            return of_c_store(await self._send(association, pair, instance, source))
        except DestinationAway as away:
            # A peer may end an association that rests at any moment; a new one tells whether it is there.
            if not association.is_used or away.reason not in ("connection-lost", "association-aborted", "no-dicom"):
                raise
        self._drop()
        association = await self._opened(pair)
        return of_c_store(await self._send(association, pair, instance, source))

    async def _send(self, association: Association, pair: Pair, instance: Instance, source: Source) -> int:
        chunks = read_ahead(source(instance.dataset_offset), asyncio.get_running_loop())
        try:
            return await in_thread(association.store, pair, instance.sop_instance_uid, chunks)
        except DestinationAway as away:
            raise BrokenOff(away.reason) from None

    async def _opened(self, pair: Pair) -> Association:
        """The association that is open, or another one where this pair was not proposed on it."""
        if self._association is not None and self._association.result(pair) is None:
            await self.close()
        if self._association is None:
            pairs = _window(self._upcoming, pair)
            self._association = await in_thread(Association, self._destination, pairs)
        return self._association

    def _drop(self) -> None:
        association, self._association = self._association, None
        if association is not None:
            association.close()

    def _hold(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rest(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._idle, self._expire)

    def _expire(self) -> None:
        task = asyncio.create_task(self.close(), name=f"release-{self._destination.name}")
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)


def _pair(instance: Instance) -> Pair:
    return instance.sop_class_uid, instance.transfer_syntax


def is_proposable(pair: Pair) -> bool:
    """Whether both are UIDs: what is not cannot be negotiated."""
    return all(map(is_uid, pair))


def _window(upcoming: Iterable[Pair], pair: Pair) -> list[Pair]:
    """What is proposed together: the pair that is needed now, and as many others as fit."""
    others = [other for other in upcoming if other != pair]
    return [pair, *others][:MAX_CONTEXTS]
