"""The one HTTP endpoint of an embedded site: paths to services (``python -m cli.embedded.router DATA PORT``).

In compose and Kubernetes an ingress does this; here it is a few lines on Starlette and httpx that stream both ways.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from cli.site import Site

#: The longest matching prefix decides the service.
ROUTES = {
    "/dicom-web": "catalog",
    "/fhir": "hl7_fhir",
    "/api/where": "catalog",
    "/api/studies": "catalog",
    "/api/spool": "dicom_ingest",
    "/api/quarantine": "deid",
    "/api/commitments": "tier_routing",
    "/api/overdue": "tier_routing",
    "/api/replan": "tier_routing",
    "/api/ledger": "tier_routing",
    "/api/summary": "tier_routing",
    "/api/verify": "verification",
    "/api/destinations": "forwarding",
}

#: What is written there goes to another service than what is asked (STOW-RS, PS3.18 section 10.5).
STORES = {"/dicom-web/studies": "dicom_ingest"}

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host", "content-length"}
_METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]


def service_of(path: str, method: str = "GET") -> str | None:
    """The service behind ``path``, None when there is none."""
    routes = (STORES if method == "POST" else {}) | ROUTES
    return next((name for prefix, name in routes.items() if path == prefix or path.startswith(prefix + "/")), None)


def build(services: dict[str, str]) -> Starlette:
    """The router over ``services``: name to base URL."""
    client = httpx.AsyncClient(timeout=httpx.Timeout(60, connect=5))

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
        target = httpx.URL(services[name]).copy_with(path=request.url.path, query=request.url.query.encode() or None)
        body = request.stream() if request.method in ("POST", "PUT") else None
        try:
            sent = client.build_request(request.method, target, headers=headers, content=body)
            answer = await client.send(sent, stream=True)
        except ClientDisconnect:
            return Response(status_code=400)
        except httpx.TransportError:
            return JSONResponse({"error": f"{name} does not answer"}, status_code=503, headers={"Retry-After": "2"})
        return _stream_back(answer)

    async def liveness(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    routes = [Route("/livez", liveness), Route("/{path:path}", forward, methods=_METHODS)]
    return Starlette(routes=routes, lifespan=lifespan)


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
