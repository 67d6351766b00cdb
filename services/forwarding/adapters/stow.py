"""A destination that is sent to by STOW-RS: each instance in a request of its own, streamed (PS3.18 section 10.5)."""

import ssl
import uuid
from collections.abc import AsyncIterator, Sequence

import httpx

from contracts.formats.manifest import Instance
from services.forwarding.adapters.association import tls_context
from services.forwarding.domain.answers import BrokenOff, DestinationAway, Outcome, of_stow, stow_reasons
from services.forwarding.domain.destinations import Destination
from services.forwarding.ports.content import Source

#: Bytes of an answer that are read: it speaks of one instance.
_LONGEST_ANSWER = 1024 * 1024


class StowSender:
    """Files go out as they were landed, in the transfer syntax that they have."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._url = f"{destination.url}/studies"
        self._client: httpx.AsyncClient | None = None

    async def prepare(self, instances: Sequence[Instance]) -> None:
        """There is nothing to negotiate."""

    async def store(self, instance: Instance, source: Source) -> Outcome:
        chunks = source(0)
        first = await anext(chunks, b"")  # an input that is not there is noticed before anything is sent
        boundary = uuid.uuid4().hex
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Accept": "application/dicom+json",
        }
        body = _part(boundary, instance, first, chunks)
        try:
            async with self._opened().stream("POST", self._url, content=body, headers=headers) as answer:
                told = await _text(answer)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, ssl.SSLError):
            raise DestinationAway("not-reachable") from None
        except httpx.TimeoutException:
            raise BrokenOff("no-answer") from None
        except httpx.HTTPError:
            raise BrokenOff("connection-lost") from None
        return of_stow(answer.status_code, *stow_reasons(told))

    async def probe(self) -> None:
        """Returns when the service answers and is not out of order; DestinationAway."""
        try:
            answer = await self._opened().options(self._url)
        except (httpx.HTTPError, ssl.SSLError):
            raise DestinationAway("not-reachable") from None
        if answer.status_code in (502, 503, 504, 507):
            raise DestinationAway(f"http-{answer.status_code}")

    async def close(self) -> None:
        """Give connections back."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            one = self._destination
            self._client = httpx.AsyncClient(
                timeout=one.timeout,
                verify=tls_context(one.tls) if one.tls else True,
                headers={"Authorization": f"Bearer {one.token_file.read_text().strip()}"} if one.token_file else {},
                trust_env=False,
            )
        return self._client


async def _part(boundary: str, instance: Instance, first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The body with its one part; an error of ``rest`` leaves it without an end, and the service drops it."""
    syntax = instance.transfer_syntax
    yield f"--{boundary}\r\nContent-Type: application/dicom; transfer-syntax={syntax}\r\n\r\n".encode()
    yield first
    async for chunk in rest:
        yield chunk
    yield f"\r\n--{boundary}--\r\n".encode()


async def _text(answer: httpx.Response) -> bytes:
    found = b""
    async for chunk in answer.aiter_bytes():
        found += chunk
        if len(found) > _LONGEST_ANSWER:
            return b""
    return found
