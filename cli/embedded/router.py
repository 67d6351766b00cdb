"""The one HTTP endpoint of an embedded site: paths to services (``python -m cli.embedded.router DATA PORT``).

In compose and Kubernetes an ingress does this; here it is a few lines on Starlette and httpx that stream both ways.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from cli.embedded.ports import service_of as service_run_by
from cli.site import Site

#: The longest matching prefix decides the service.
ROUTES = {
    "/dicom-web": "catalog",
    "/fhir": "hl7_fhir",
    "/api/matches": "hl7_fhir",
    "/api/where": "catalog",
    "/api/studies": "catalog",
    "/api/spool": "dicom_ingest",
    "/api/quarantine": "deid",
    "/quarantine": "deid",
    "/api/deid": "deid",
    "/api/commitments": "tier_routing",
    "/api/overdue": "tier_routing",
    "/api/replan": "tier_routing",
    "/api/ledger": "tier_routing",
    "/api/summary": "tier_routing",
    "/api/verify": "verification",
    "/api/destinations": "forwarding",
    "/api/hl7": "hl7_fhir",
    "/api/receivers": "hl7_fhir",
}

#: What is written there goes to another service than what is asked (STOW-RS, PS3.18 section 10.5).
STORES = {"/dicom-web/studies": "dicom_ingest"}

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host", "content-length"}
_METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]


def service_of(path: str, method: str = "GET") -> str | None:
    """The service behind ``path``, None when there is none."""
    routes = (STORES if method == "POST" else {}) | ROUTES
    return next((name for prefix, name in routes.items() if path == prefix or path.startswith(prefix + "/")), None)


class Rota:
    """The processes of each service, another one first each time that one is asked for."""

    def __init__(self, processes: dict[str, str]) -> None:
        """``processes`` by their names: base URLs."""
        self._urls: dict[str, list[str]] = {}
        for name, url in processes.items():
            self._urls.setdefault(service_run_by(name), []).append(url)
        self._turns = count()

    def of(self, service: str) -> list[str]:
        """The base URLs in the order in which they are to be tried."""
        urls = self._urls[service]
        first = next(self._turns) % len(urls)
        return urls[first:] + urls[:first]


def build(services: dict[str, str]) -> Starlette:
    """The router over ``services``: name of a process to base URL.

    Of several processes of a service any one answers for all: what they keep lies in one folder.
    """
    client, rota = httpx.AsyncClient(timeout=httpx.Timeout(60, connect=5)), Rota(services)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await client.aclose()

    async def forward(request: Request) -> Response:
        name = service_of(request.url.path, request.method)
        if name is None:
            return JSONResponse({"error": "nothing here", "paths": sorted(ROUTES)}, status_code=404)
        headers = [(key, value) for key, value in request.headers.items() if key not in _HOP_BY_HOP]
        headers.append(("x-forwarded-host", request.headers.get("host", "")))
        for base in rota.of(name):
            try:
                return _stream_back(await client.send(_handed_on(client, request, base, headers), stream=True))
            except ClientDisconnect:
                return Response(status_code=400)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue  # nothing was sent: another process may take it
            except httpx.TransportError:
                break
        return JSONResponse({"error": f"{name} does not answer"}, status_code=503, headers={"Retry-After": "2"})

    async def liveness(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    routes = [Route("/livez", liveness), Route("/{path:path}", forward, methods=_METHODS)]
    return Starlette(routes=routes, lifespan=lifespan)


def _handed_on(client: httpx.AsyncClient, request: Request, base: str, headers: list[tuple[str, str]]) -> httpx.Request:
    """The request as it goes to the process at ``base``; its body is read when it is sent."""
    target = httpx.URL(base).copy_with(path=request.url.path, query=request.url.query.encode() or None)
    body = request.stream() if request.method in ("POST", "PUT") else None
    return client.build_request(request.method, target, headers=headers, content=body)


def _stream_back(answer: httpx.Response) -> StreamingResponse:
    response = StreamingResponse(
        answer.aiter_raw(), status_code=answer.status_code, background=BackgroundTask(answer.aclose)
    )
    for key, value in answer.headers.multi_items():
        if key not in _HOP_BY_HOP:
            response.headers.append(key, value)
    return response


def main() -> None:
    """Serve until a signal."""
    site, port = Site(Path(sys.argv[1])), int(sys.argv[2])
    uvicorn.run(build(site.state()["services"]), host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
