"""What the operator may ask: what was acknowledged and has not left the spool."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared.messaging.threads import in_thread


class StatusHandlers:
    """``batches`` counts the batch files of every process, open ones and those of dead processes included; those that
    may hold a part of one study when it is given. ``storage`` is what the operator says that the spool lies on."""

    def __init__(
        self, *, batches: Callable[[str | None], int], waiting_bytes: Callable[[], int], storage: str | None
    ) -> None:
        self._storage = storage
        self._batches = batches
        self._waiting_bytes = waiting_bytes

    def routes(self) -> tuple[Route, ...]:
        """Every path of the service."""
        return (Route("/api/spool", self.spool),)

    async def spool(self, request: Request) -> Response:
        """Batches that are not landed and told yet (of one study with ``?study=UID``), and the bytes of all."""
        batches = await in_thread(self._batches, request.query_params.get("study"))
        return JSONResponse({"batches": batches, "bytes": self._waiting_bytes(), "storage": self._storage or "unknown"})
