"""The page on which people decide: plain files, without any data."""

from collections.abc import Awaitable, Callable
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from shared.http.access import OpenPage

_TYPES = {"index.html": "text/html", "page.css": "text/css", "page.js": "text/javascript"}
#: Nothing is loaded from elsewhere, nothing runs that is not in the file, nobody may frame it.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def page_routes() -> tuple[OpenPage, ...]:
    """``/quarantine`` and what it loads."""
    paths = {"/quarantine": "index.html", **{f"/quarantine/{name}": name for name in ("page.css", "page.js")}}
    return tuple(OpenPage(path, _answer(name)) for path, name in paths.items())


def _answer(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return Response(_content(name), media_type=_TYPES[name], headers=_HEADERS)

    return answer


@cache
def _content(name: str) -> bytes:
    """A file that ships with the service, read once."""
    return (files("services.deid.handlers.page") / name).read_bytes()
