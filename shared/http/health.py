"""/livez, /readyz and /metrics of a service."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from shared.errors import CausewayError
from shared.http.loops import across
from shared.observability import metrics

#: A loop that has been silent for longer, in seconds, is not alive.
LIVE_WITHIN = 15.0
CHECK_TIMEOUT = 5.0

Check = Callable[[], Awaitable[None]]


class Health:
    """The three answers. ``silence`` gives seconds since ``loop``, the service's, last turned; ``checks`` run there."""

    def __init__(
        self, silence: Callable[[], float], checks: Mapping[str, Check], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._silence = silence
        self._checks = checks
        self._loop = loop

    def routes(self) -> list[BaseRoute]:
        """/livez, /readyz, /metrics."""
        return [Route("/livez", self.live), Route("/readyz", self.ready), Route("/metrics", self.metrics)]

    async def live(self, request: Request) -> Response:
        """200 while the service's event loop turns."""
        alive = self._silence() < LIVE_WITHIN
        return JSONResponse({"status": "live" if alive else "frozen"}, 200 if alive else 503)

    async def ready(self, request: Request) -> Response:
        """200 when every check passes; else 503 with the codes of those that do not."""
        told = dict(zip(self._checks, await asyncio.gather(*map(self._ask, self._checks.values())), strict=True))
        ready = all(word == "ok" for word in told.values())
        return JSONResponse({"status": "ready" if ready else "not-ready", "checks": told}, 200 if ready else 503)

    async def metrics(self, request: Request) -> Response:
        """Prometheus text format."""
        metrics().set("causeway_loop_silence_seconds", self._silence())
        return Response(metrics().expose(), media_type=CONTENT_TYPE_LATEST)

    async def _ask(self, check: Check) -> str:
        try:
            await asyncio.wait_for(across(check(), self._loop), CHECK_TIMEOUT)
        except CausewayError as error:
            return error.reason
        except TimeoutError:
            return "timeout"
        except Exception as error:
            return type(error).__name__
        return "ok"
