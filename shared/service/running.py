"""From the name of a factory to an exit status."""

import asyncio
import importlib
from collections.abc import Callable

import structlog

from shared.service.life import live
from shared.service.model import Service

log = structlog.get_logger("causeway.service")


def factory(path: str) -> Callable[[], Service]:
    """The factory that ``package.module:name`` names; ValueError, ImportError or AttributeError when it names none."""
    module, separator, name = path.partition(":")
    if not separator:
        raise ValueError("a factory is named package.module:function")
    found: Callable[[], Service] = getattr(importlib.import_module(module), name)
    return found


def run(service: Service) -> int:
    """Live ``service`` to its end; the exit status: 0 after SIGTERM or SIGINT, 1 after a failure."""
    try:
        asyncio.run(live(service))
    except Exception as error:
        # Its text may hold what came from an input; what failed has been logged where it failed.
        log.error("service-failed", service=service.name, error=type(error).__name__)
        return 1
    return 0
