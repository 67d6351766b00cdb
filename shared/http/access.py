"""Who may ask, and what is written down of it."""

import hashlib
import hmac
import ipaddress
from collections.abc import Callable, Iterable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.observability import logger, metrics
from shared.settings import ServiceSettings

#: What a probe may ask without a token.
OPEN_PATHS = frozenset({"/livez", "/readyz"})
_SHORTEST = 24  # characters of a token

log = logger("causeway.http")


class BindRefused(ValueError):
    """The server would listen outside loopback without TLS and a token, or its settings contradict each other."""


def check_binding(settings: ServiceSettings) -> None:
    """BindRefused unless the server stays on loopback, or has a certificate, its key and a token file."""
    if (settings.http_tls_cert is None) != (settings.http_tls_key is None):
        raise BindRefused("CAUSEWAY_HTTP_TLS_CERT and CAUSEWAY_HTTP_TLS_KEY go together")
    if is_loopback(settings.http_host):
        return
    needed = {
        "CAUSEWAY_HTTP_TLS_CERT": settings.http_tls_cert,
        "CAUSEWAY_HTTP_TLS_KEY": settings.http_tls_key,
        "CAUSEWAY_HTTP_TOKEN_FILE": settings.http_token_file,
    }
    missing = [name for name, value in needed.items() if value is None]
    if missing:
        raise BindRefused(f"outside loopback HTTP needs TLS and a token: set {', '.join(missing)}")


def is_loopback(host: str) -> bool:
    """Whether ``host`` is an address of this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Tokens:
    """The bearer tokens of a site, each with the name that the log knows its holder by."""

    def __init__(self, holders: dict[str, str]) -> None:
        self._digests = {who: _digest(token) for who, token in holders.items()}

    @classmethod
    def load(cls, path: Path) -> "Tokens":
        """Read ``path``: ``name token`` on each line, or one token alone. BindRefused when it holds none or a weak one.

        OSError without the file.
        """
        lines = [line.split() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
        if path.stat().st_mode & 0o007:
            raise BindRefused("the token file must not be readable by others: chmod o= it")
        if not lines or any(len(words) > 2 or len(words[-1]) < _SHORTEST for words in lines):
            raise BindRefused(f"the token file needs lines `name token`, tokens of at least {_SHORTEST} characters")
        holders = {words[0] if len(words) == 2 else "bearer": words[-1] for words in lines}
        if len(holders) < len(lines):
            raise BindRefused("each line of the token file needs a name of its own")
        return cls(holders)

    @property
    def holders(self) -> frozenset[str]:
        """The names of all who hold one."""
        return frozenset(self._digests)

    def holder(self, authorization: str | None) -> str | None:
        """Who sent the header ``Authorization: Bearer …`` (RFC 6750); every token is compared, in constant time."""
        scheme, _, token = (authorization or "").partition(" ")
        given = _digest(token.strip()) if scheme.lower() == "bearer" else b""
        found = None
        for who, digest in self._digests.items():
            if hmac.compare_digest(digest, given):
                found = who
        return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class TokenSocket(WebSocketRoute):
    """A websocket whose handler itself lets nobody go on without a token: a browser cannot send one in a header."""


class OpenPage(Route):
    """A file without data, such as a page's script: a browser cannot send a token before it has the page to ask for
    it. It is served as it is, for GET at exactly its path; all that the page shows is asked for with a token."""


class Guarded:
    """An application behind bearer tokens, if there are any; each request and each denial is logged.

    ``tokens`` gives those that hold at the moment of a request. Of the websockets in ``routes`` only a TokenSocket is
    served; an OpenPage is served to everybody.
    """

    def __init__(
        self, application: ASGIApp, tokens: Callable[[], Tokens] | None, routes: Iterable[BaseRoute] = ()
    ) -> None:
        self._application = application
        self._tokens = tokens
        routes = tuple(routes)
        self._sockets = frozenset(route.path for route in routes if isinstance(route, TokenSocket))
        self._open = OPEN_PATHS | {route.path for route in routes if isinstance(route, OpenPage)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through as its holder, or answer 401."""
        if scope["type"] == "websocket" and scope["path"] in self._sockets:
            log.info("socket-opened", route=scope["path"])
            await self._application(scope, receive, send)
            return
        if scope["type"] != "http":  # no other route speaks anything else, and none shall by chance without a token
            return
        if scope["path"] in self._open:
            await self._application(scope, receive, send)
            return
        who = self._tokens().holder(Request(scope).headers.get("authorization")) if self._tokens else "loopback"
        if who is None:
            await self._deny(scope, receive, send)
            return
        scope.setdefault("state", {})["who"] = who
        await self._application(scope, receive, _logged(scope, send, who))

    async def _deny(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client") or ("unknown", 0)
        log.warning("access-denied", method=scope["method"], address=str(client[0]), http_status=401)
        metrics().count("causeway_http_denials_total")
        answer = JSONResponse({"reason": "not-authorized"}, 401, {"WWW-Authenticate": 'Bearer realm="causeway"'})
        await answer(scope, receive, send)


def _logged(scope: Scope, send: Send, who: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            route = getattr(scope.get("route"), "path", "none")
            status = message["status"]
            metrics().count("causeway_http_requests_total", route=route, status=status)
            if route != "/metrics":
                log.info("http-request", who=who, method=scope["method"], route=route, http_status=status)
        await send(message)

    return sending


def log_access(request: Request, resource: str, *, ref: str | None = None, count: int | None = None) -> None:
    """Write down that patient data was read: who, what kind (``study``), how many, and an opaque reference."""
    who = getattr(request.state, "who", "unknown")
    log.info("patient-data-read", who=who, resource=resource, ref=ref, count=count)
