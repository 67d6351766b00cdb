"""The site's HTTP API, as the commands use it."""

import ssl
from collections.abc import Iterator
from typing import Any

import httpx

from cli.output import fail
from cli.site import Access, Site, SiteDown

_LOOPBACK = Access()


class ApiError(Exception):
    """The site answered, and the answer is a refusal; ``status`` is the HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Api:
    """A client of one running site."""

    def __init__(self, base: str, access: Access = _LOOPBACK) -> None:
        headers = {"Authorization": f"Bearer {access.token}"} if access.token else {}
        verify = ssl.create_default_context(cafile=access.authority) if access.authority else True
        self._client = httpx.Client(base_url=base, headers=headers, verify=verify, timeout=30)

    @classmethod
    def of(cls, site: Site) -> "Api":
        """The client of ``site``; ends the command with a clear error when it does not run."""
        try:
            return cls(site.endpoints()["http"], site.access())
        except SiteDown as error:
            fail(str(error))

    def get(self, path: str, **query: str | int) -> Any:
        """The JSON document at ``path``; ApiError for a refusal or silence."""
        return self._call("GET", path, params=query)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The JSON answer to ``body``; ApiError for a refusal or silence."""
        return self._call("POST", path, json=body)

    def content(self, path: str, **query: str | int) -> bytes | None:
        """The bytes at ``path``, None when there are none; ApiError for a refusal or silence."""
        try:
            return self._answer("GET", path, params=query).content
        except ApiError as error:
            if error.status == httpx.codes.NOT_FOUND:
                return None
            raise

    def stream(self, path: str, body: dict[str, Any]) -> Iterator[bytes]:
        """The answer to ``body`` as its bytes come; ApiError for a refusal, silence, or an answer that breaks off."""
        try:
            with self._client.stream("POST", path, json=body) as answer:
                if answer.is_error:
                    answer.read()
                    raise ApiError(answer.status_code, _reason(answer))
                yield from answer.iter_bytes()
        except httpx.TransportError as error:
            raise ApiError(503, f"the site does not answer ({type(error).__name__})") from None

    def _answer(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            answer = self._client.request(method, path, **more)
        except httpx.TransportError as error:
            raise ApiError(503, f"the site does not answer ({type(error).__name__})") from None
        if answer.is_error:
            raise ApiError(answer.status_code, _reason(answer))
        return answer

    def _call(self, method: str, path: str, **more: Any) -> Any:
        answer = self._answer(method, path, **more)
        try:
            return answer.json() if answer.content else None
        except ValueError:
            raise ApiError(502, "what answers is no site of ours: its answer is no JSON") from None


def _reason(answer: httpx.Response) -> str:
    try:
        told = answer.json()
    except ValueError:
        return f"HTTP {answer.status_code}"
    return (
        str(told.get("error", f"HTTP {answer.status_code}")) if isinstance(told, dict) else f"HTTP {answer.status_code}"
    )
