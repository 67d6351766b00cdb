"""Blocking work, off the event loop."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


async def in_thread(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run blocking ``work`` on a worker thread, in the current trace and log context."""
    return await asyncio.to_thread(work, *args, **kwargs)
