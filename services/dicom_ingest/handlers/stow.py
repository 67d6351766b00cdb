"""STOW-RS: ``POST /dicom-web/studies`` and ``/dicom-web/studies/{study}`` (PS3.18 section 10.5).

A body is heard as it comes, and handed chunk by chunk to a worker thread, which writes to the spool; the client is not
read any further meanwhile. The answer is given when every stored instance is durable.
"""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.dicom_ingest.domain.negotiation import is_uid
from services.dicom_ingest.domain.stow import RequestRefused, StowRules, continued, status_of
from services.dicom_ingest.domain.stow_answer import encode
from services.dicom_ingest.domain.stow_media import answer_type, read_body
from services.dicom_ingest.domain.visit import Visit
from services.dicom_ingest.handlers.reception import Reception
from services.dicom_ingest.handlers.stow_body import Body, Pace
from services.dicom_ingest.handlers.stow_parts import OneFile, StoreRequest
from services.dicom_ingest.handlers.stow_places import StorePlaces
from services.dicom_ingest.handlers.stow_response import Early, in_pieces
from services.dicom_ingest.ports import How
from services.dicom_ingest.ports.parts import BodyReader, PartSink
from services.dicom_ingest.ports.senders import Senders
from shared.giving_way import Progress
from shared.observability import logger

#: What stands for the called AE title of an association.
CALLED = "STOW-RS"
#: Seconds after which a client may come again.
_RETRY_AFTER = "5"
_MOST_THREADS = 8

log = logger("dicom_ingest.stow")


class StowHandlers:
    """Store requests. They are heard while ``run`` is awaited."""

    def __init__(
        self,
        *,
        reception: Reception,
        rules: StowRules,
        read_parts: Callable[[str, PartSink], BodyReader],
        senders: Senders,
    ) -> None:
        """``read_parts`` makes the reader of a body with this boundary."""
        self._reception = reception
        self._rules = rules
        self._read_parts = read_parts
        self._senders = senders
        self._places = StorePlaces(rules.max_requests)
        self._present: set[asyncio.Task[object] | None] = set()
        self._threads: ThreadPoolExecutor | None = None

    def routes(self) -> tuple[Route, ...]:
        """Every path."""
        return (
            Route("/dicom-web/studies", self.store, methods=["POST"]),
            Route("/dicom-web/studies/{study}", self.store, methods=["POST"]),
        )

    async def run(self) -> None:
        """Hear requests until cancelled; then let those that are here finish, for a while."""
        threads = ThreadPoolExecutor(min(self._rules.max_requests, _MOST_THREADS), "stow")
        self._threads = threads
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._threads = None
            await self._drain()
            threads.shutdown()

    async def _drain(self) -> None:
        """Nobody may write into the spool any longer when this returns."""
        present = [task for task in self._present if task is not None]
        if present:
            await asyncio.wait(present, timeout=self._rules.grace)
        for task in present:
            task.cancel()
        await asyncio.gather(*present, return_exceptions=True)

    async def store(self, request: Request) -> Response:
        """Store the instances in the body."""
        try:
            kind = answer_type(", ".join(request.headers.getlist("accept")))
            body = read_body(request.headers)
            visit = self._visit(request)
            threads = self._admit(request)
            visit.peer = self._senders.enter(visit.calling_ae, visit.address)
        except RequestRefused as error:
            return self._refuse(request, error)
        task = asyncio.current_task()
        self._present.add(task)
        hearing = self._hearing(request, visit)
        try:
            await hearing.begin()
            async with self._places.taken((visit.calling_ae, visit.address), hearing):
                stored = StoreRequest(self._reception, visit, self._rules.max_parts)
                reader = OneFile(stored) if body.boundary is None else self._read_parts(body.boundary, stored)
                fault = await self._hear(hearing, stored, reader, threads)
        except RequestRefused as error:
            return self._refuse(request, error)
        finally:
            self._present.discard(task)
            self._senders.leave(visit.calling_ae)
        return self._answer(request, stored, fault, kind)

    def _hearing(self, request: Request, visit: Visit) -> Body:
        rules = self._rules
        pace = Pace(visit.peer.idle or rules.idle, rules.min_throughput)
        return Body(request, pace, rules.max_request, Progress(rules.min_throughput))

    def _visit(self, request: Request) -> Visit:
        study = request.path_params.get("study")
        if study is not None and not is_uid(study):
            raise RequestRefused("no-study-uid", 400)
        address = request.client.host if request.client else "unknown"
        parent = continued(request.headers.get("traceparent"))
        return Visit(_who(request), CALLED, address, traceparent=parent, only_study=study)

    def _admit(self, request: Request) -> ThreadPoolExecutor:
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > self._rules.max_request:
            raise RequestRefused("request-too-large", 413)
        if self._threads is None:
            raise RequestRefused("busy", 503)
        return self._threads

    async def _hear(
        self, body: Body, stored: StoreRequest, reader: BodyReader, threads: ThreadPoolExecutor
    ) -> RequestRefused | None:
        """Take the body to its end; why that was not possible, None when it was."""
        on_thread = partial(asyncio.get_running_loop().run_in_executor, threads)
        visit = stored.visit
        how: How = "lost"
        await on_thread(stored.enter)
        try:
            while chunk := await body.next(progress=visit.stored):
                before = visit.stored
                await on_thread(stored.feed, reader, chunk)
                # Not on the thread: who is slowed down takes it from nobody.
                await asyncio.sleep(self._senders.pause(visit.peer, len(chunk), visit.stored - before))
            await on_thread(stored.feed, reader, b"")
            how = "released"
        except RequestRefused as error:
            return error
        finally:
            await on_thread(stored.leave, how)
        return None

    def _refuse(self, request: Request, error: RequestRefused) -> Response:
        log.warning("store-refused", who=_who(request), reason=error.reason, http_status=error.http_status)
        headers = {"Retry-After": _RETRY_AFTER} if error.http_status == 503 else {}
        return Early(iter((json.dumps({"reason": error.reason}).encode(),)), error.http_status, headers)

    def _answer(self, request: Request, stored: StoreRequest, fault: RequestRefused | None, kind: str) -> Response:
        outcomes, visit = stored.outcomes, stored.visit
        status = fault.http_status if fault else status_of(outcomes)
        log.info(
            "store-request",
            who=_who(request),
            association_id=visit.association_id,
            instances=visit.stored,
            refused=visit.refused,
            reason=fault.reason if fault else None,
            http_status=status,
        )
        content = encode(outcomes, _base(request), kind)
        headers = {"Retry-After": _RETRY_AFTER} if status in (503, 507) else {}
        return (Early if fault else in_pieces)(content, status, headers, kind)


def _who(request: Request) -> str:
    return str(getattr(request.state, "who", "unknown"))


def _base(request: Request) -> str:
    """The URL of the DICOMweb root as the client sees it."""
    host = request.headers.get("x-forwarded-host") or request.url.netloc
    scheme = request.headers.get("x-forwarded-proto") or request.url.scheme
    return f"{scheme}://{host}/dicom-web"
