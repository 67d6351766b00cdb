"""From the name of a factory to an exit status."""

import asyncio
import gc
import importlib
from collections.abc import Callable

from shared.observability import configure, logger
from shared.service.life import live
from shared.service.model import Service

log = logger("causeway.service")


def factory(path: str) -> Callable[[], Service]:
    """The factory that ``package.module:name`` names; ValueError, ImportError or AttributeError when it names none."""
    module, separator, name = path.partition(":")
    if not separator:
        raise ValueError("a factory is named package.module:function")
    found: Callable[[], Service] = getattr(importlib.import_module(module), name)
    return found


def run(service: Service) -> int:
    """Live ``service`` to its end; the exit status: 0 after SIGTERM or SIGINT, 1 after a failure."""
    telemetry = configure(service.name, service.settings)
    # What was imported stays to the end: no collection needs to look at it again.
    gc.freeze()
    try:
        asyncio.run(live(service))
    except Exception as error:
        log.error("service-failed", exc_info=error)
        return 1
    finally:
        telemetry.shutdown()
    return 0
