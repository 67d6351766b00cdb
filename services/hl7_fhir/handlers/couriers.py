"""One courier for each receiver that is named now; a fault of one is no other's."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from services.hl7_fhir.domain.outgoing.receivers import Receiver
from services.hl7_fhir.handlers.courier import Courier
from shared.errors import RetryLater
from shared.observability import logger, metrics

#: Seconds: how soon a changed file is noticed, how often the backlog is measured, how long a farewell may take.
_LOOK_EVERY, _MEASURE_EVERY, _FAREWELL = 1.0, 10.0, 5.0

log = logger("hl7_fhir.couriers")


class Receivers(Protocol):
    """Who is named now."""

    def get(self) -> Mapping[str, Receiver]:
        """By name."""
        ...


class Standing(Protocol):
    """Where the queues stand."""

    async def standing(self) -> dict[str, dict[str, Any]]:
        """By name: ``waiting``, ``aside``, ``age`` …; RetryLater."""
        ...


class Wakes(Protocol):
    """Tells when something was queued."""

    def listen(self, wake: Callable[[Collection[str], bool], None]) -> None:
        """Call ``wake`` on the running event loop with the receivers, and whether a person decided something."""
        ...


@dataclass(frozen=True)
class _Running:
    receiver: Receiver
    courier: Courier
    task: "asyncio.Task[None]"


class Couriers:
    """Keeps the couriers as the file has them."""

    def __init__(
        self, receivers: Receivers, standing: Standing, wakes: Wakes, courier_of: Callable[[Receiver], Courier]
    ) -> None:
        self._receivers = receivers
        self._standing = standing
        self._wakes = wakes
        self._courier_of = courier_of
        self._running: dict[str, _Running] = {}

    async def run(self) -> None:
        """For as long as the service lives: a Task. At its end messages under way get the time to be answered."""
        self._wakes.listen(self.wake)
        measuring = asyncio.create_task(self._measure())
        try:
            while True:
                self._arrange(self._receivers.get())
                await asyncio.sleep(_LOOK_EVERY)
        finally:
            measuring.cancel()
            await self._hang_up()

    def wake(self, names: Collection[str], hurry: bool) -> None:
        """Something was queued for these receivers, or decided about them (``hurry``)."""
        for name in names:
            if name in self._running:
                self._running[name].courier.wake(hurry=hurry)

    def _arrange(self, named: Mapping[str, Receiver]) -> None:
        """Start, end and replace couriers; of one name there is never more than one."""
        for name, running in list(self._running.items()):
            if running.task.done():
                self._bury(name, running)
            elif named.get(name) != running.receiver:
                running.courier.end()
        for name, receiver in named.items():
            if name not in self._running:
                courier = self._courier_of(receiver)
                task = asyncio.create_task(courier.run(), name=f"send-{name}")
                self._running[name] = _Running(receiver, courier, task)

    def _bury(self, name: str, running: _Running) -> None:
        del self._running[name]
        error = None if running.task.cancelled() else running.task.exception()
        if error is not None:
            log.error("hl7-courier-failed", target=name, exc_info=error)

    async def _measure(self) -> None:
        while True:
            with suppress(RetryLater):
                for name, found in (await self._standing.standing()).items():
                    metrics().set("causeway_hl7_outgoing_waiting", found["waiting"], target=name)
                    metrics().set("causeway_hl7_outgoing_aside", found["aside"], target=name)
                    metrics().set("causeway_hl7_outgoing_age_seconds", found["age"] or 0, target=name)
            await asyncio.sleep(_MEASURE_EVERY)

    async def _hang_up(self) -> None:
        tasks = [running.task for running in self._running.values()]
        for running in self._running.values():
            running.courier.end()
        if tasks:
            await asyncio.wait(tasks, timeout=_FAREWELL)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
