"""Sends notifications to rest-hooks: one at a time to each, none waiting for another (guide, "REST-Hook")."""

import asyncio
import json
import ssl
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol
from uuid import uuid4

import httpx

from services.hl7_fhir.adapters.bell import Bell
from services.hl7_fhir.adapters.deliveries import Job
from services.hl7_fhir.domain.subscriptions.channel import MEDIA_TYPE
from services.hl7_fhir.domain.subscriptions.endpoints import is_allowed
from services.hl7_fhir.domain.subscriptions.notification import disclosed, notification
from shared.errors import RetryLater
from shared.observability import logger, metrics

log = logger("causeway.subscriptions")


class Deliveries(Protocol):
    """What is to be sent."""

    async def claim(self, limit: int) -> list[Job]:
        """What is due."""

    async def succeeded(self, job: Job) -> Job | None:
        """It arrived; the next one."""

    async def failed(self, job: Job, reason: str) -> None:
        """It did not."""

    async def release(self, holder: str) -> None:
        """Nothing is known of it."""


class NotDelivered(Exception):
    """``reason`` is a code such as ``no-response`` or ``http-500``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RestHooks:
    """One sender for each subscription that has something to hear, at most ``at_once``; only to what is ``listed``.

    ``poll`` seconds between two looks when nothing rings the bell; ``trust`` None: the public authorities.
    """

    def __init__(
        self,
        deliveries: Deliveries,
        bell: Bell,
        *,
        listed: Iterable[str],
        at_once: int = 100,
        poll: float = 1.0,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._trust = trust
        self._deliveries = deliveries
        self._bell = bell
        self._listed = tuple(listed)
        self._at_once = at_once
        self._poll = poll
        self._working: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """For as long as the service lives: a Task."""
        # A redirect would lead to where the operator has listed nothing; a proxy of the environment likewise.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=self._at_once)
        async with httpx.AsyncClient(
            follow_redirects=False, trust_env=False, limits=limits, verify=self._trust or True
        ) as client:
            try:
                while True:
                    await self._look(client)
            finally:
                for task in self._working:
                    task.cancel()
                await asyncio.gather(*self._working, return_exceptions=True)

    async def _look(self, client: httpx.AsyncClient) -> None:
        heard = self._bell.rung
        with suppress(RetryLater):
            for job in await self._deliveries.claim(self._at_once - len(self._working)):
                task = asyncio.create_task(self._serve(client, job), name="courier")
                self._working.add(task)
                task.add_done_callback(self._working.discard)
        await self._bell.wait(self._poll, heard)

    async def _serve(self, client: httpx.AsyncClient, first: Job) -> None:
        """Send all that waits for one subscription; whatever goes wrong here is its own trouble, and ends its claim."""
        job: Job | None = first
        try:
            while job is not None:
                job = await self._deliver(client, job)
        except asyncio.CancelledError:  # the service ends: another, or the next, goes on at once
            with suppress(RetryLater):
                await self._deliveries.release(first.holder)
            raise
        except RetryLater as error:
            log.warning("subscription-interrupted", subscription_ref=first.subscription.id, reason=error.reason)
        except Exception as error:
            log.error("subscription-interrupted", subscription_ref=first.subscription.id, exc_info=error)

    async def _deliver(self, client: httpx.AsyncClient, job: Job) -> Job | None:
        kind = job.kind.value
        try:
            await self._send(client, job)
        except NotDelivered as failure:
            metrics().count("causeway_subscription_deliveries_total", kind=kind, outcome="failed")
            log.warning("notification-failed", subscription_ref=job.subscription.id, kind=kind, reason=failure.reason)
            await self._deliveries.failed(job, failure.reason)
            return None
        metrics().count("causeway_subscription_deliveries_total", kind=kind, outcome="done")
        log.info("notification-sent", subscription_ref=job.subscription.id, kind=kind, event_count=len(job.events))
        for kind_of_it, ref in disclosed(job.subscription, job.events):
            log.info("patient-data-sent", subscription_ref=job.subscription.id, resource=kind_of_it, ref=ref)
        return await self._deliveries.succeeded(job)

    async def _send(self, client: httpx.AsyncClient, job: Job) -> None:
        """POST one notification; NotDelivered."""
        channel = job.subscription.wanted.channel
        if not is_allowed(channel.endpoint, self._listed):
            raise NotDelivered("endpoint-not-allowed")
        document = notification(
            job.subscription, job.kind, job.events, content=channel.content, name=uuid4(), now=datetime.now(UTC)
        )
        headers = [(header.name, header.value) for header in channel.headers]
        await _post(client, channel.endpoint, json.dumps(document).encode(), headers, channel.timeout)


async def _post(
    client: httpx.AsyncClient, url: str, body: bytes, headers: list[tuple[str, str]], seconds: float
) -> None:
    """Accepted is a status of 2xx within ``seconds`` in all; the answer's body is not read."""
    own = [("Content-Type", MEDIA_TYPE)]
    began = time.monotonic()
    try:
        async with (
            asyncio.timeout(seconds),
            client.stream("POST", url, content=body, headers=[*headers, *own], timeout=seconds) as answer,
        ):
            status = answer.status_code
    except (TimeoutError, httpx.TimeoutException):
        raise NotDelivered("no-response") from None
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError):
        raise NotDelivered("not-reachable") from None
    metrics().observe("causeway_subscription_delivery_seconds", time.monotonic() - began)
    if not 200 <= status < 300:
        raise NotDelivered(f"http-{status}")
