"""One event for several parts of a service."""

from collections.abc import Awaitable, Callable
from typing import Any

from shared.errors import AlreadyDone
from shared.messaging.cloudevent import Received

Handler = Callable[[Received[Any]], Awaitable[None]]


def each_of(*handlers: Handler) -> Handler:
    """All of ``handlers``, one after the other; each knows by itself what it has done already.

    The event comes again when one of them fails, and is done when the last of them has done it.
    """

    async def heard(received: Received[Any]) -> None:
        done = 0
        for handler in handlers:
            try:
                await handler(received)
            except AlreadyDone:
                done += 1
        if done == len(handlers):
            raise AlreadyDone("event-known")

    return heard
