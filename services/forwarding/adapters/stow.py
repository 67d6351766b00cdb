"""A destination that is sent to by STOW-RS: each instance in a request of its own, streamed (PS3.18 section 10.5)."""

import re
import ssl
import uuid
from collections.abc import AsyncIterator, Sequence

import httpx

from contracts.formats.manifest import Instance
from services.forwarding.adapters.association import tls_context
from services.forwarding.domain.answers import (
    CREDENTIALS_UNREADABLE,
    BrokenOff,
    DestinationAway,
    Outcome,
    of_stow,
)
from services.forwarding.domain.destinations import Destination, Tls
from services.forwarding.ports.content import Source
from shared.messaging.threads import in_thread

#: Bytes of an answer that are read: it speaks of one instance.
_LONGEST_ANSWER = 1024 * 1024
#: What can stand in a header (RFC 9110 section 5.5); RFC 6750 section 2.1 allows less.
_TOKEN = re.compile(r"[!-~]+")


class StowSender:
    """Files go out as they were landed, in the transfer syntax that they have."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._url = f"{destination.url}/studies"
        self._client: httpx.AsyncClient | None = None

    async def prepare(self, instances: Sequence[Instance], others: Sequence[Instance] = ()) -> None:
        """There is nothing to negotiate."""

    async def store(self, instance: Instance, source: Source) -> Outcome:
        chunks = source(0)
        first = await anext(chunks, b"")  # an input that is not there is noticed before anything is sent
        boundary = uuid.uuid4().hex
        client, authorization = await self._opened()
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Accept": "application/dicom+json",
            **authorization,
        }
        body = _part(boundary, instance, first, chunks)
        try:
            async with client.stream("POST", self._url, content=body, headers=headers) as answer:
                told = await _text(answer)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, ssl.SSLError) as error:
            await self.close()
            raise DestinationAway(_no_connection(error)) from None
        except httpx.TimeoutException:
            raise BrokenOff("no-answer") from None
        except httpx.HTTPError:
            raise BrokenOff("connection-lost") from None
        return of_stow(answer.status_code, told)

    async def probe(self) -> None:
        """Returns when the service answers and is not out of order; DestinationAway."""
        client, authorization = await self._opened()
        try:
            answer = await client.options(self._url, headers=authorization)
        except (httpx.HTTPError, ssl.SSLError) as error:
            await self.close()
            raise DestinationAway(_no_connection(error)) from None
        if answer.status_code in (502, 503, 504, 507):
            raise DestinationAway(f"http-{answer.status_code}")

    async def close(self) -> None:
        """Give connections back."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _opened(self) -> tuple[httpx.AsyncClient, dict[str, str]]:
        """A client with the certificates of when it was last away, and the token of now; DestinationAway."""
        try:
            if self._client is None:
                context = await in_thread(tls_context, self._destination.tls or Tls())
                self._client = httpx.AsyncClient(timeout=self._destination.timeout, verify=context, trust_env=False)
            return self._client, await in_thread(self._authorization)
        except (OSError, ValueError):
            raise DestinationAway(CREDENTIALS_UNREADABLE) from None

    def _authorization(self) -> dict[str, str]:
        """A bearer token (RFC 6750) where there is one; OSError, ValueError."""
        file = self._destination.token_file
        if file is None:
            return {}
        token = file.read_text().strip()
        if not _TOKEN.fullmatch(token):
            raise ValueError
        return {"Authorization": f"Bearer {token}"}


def _no_connection(error: BaseException | None) -> str:
    """Why there is none: the last that is known of it."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return "tls-refused"
        error = error.__cause__ or error.__context__
    return "not-reachable"


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
