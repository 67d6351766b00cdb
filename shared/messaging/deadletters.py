"""Dead letters: what no later attempt can do, kept with the reason, to be shown, tried again or discarded."""

import base64
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg

from shared.messaging.cloudevent import forwardable

STREAM = "DEADLETTERS"
WILDCARD = "deadletter.>"


@dataclass(frozen=True)
class DeadLetter:
    """A message that was given up, as its headers tell; ``body`` is the original one, to be shown only on demand."""

    service: str
    consumer: str
    subject: str
    sequence: int
    error_class: str
    reason: str
    attempts: int
    event_id: str
    body: bytes
    number: int
    time: datetime | None = None


class ConsumerGone(Exception):
    """The consumer that gave a letter up is no more: given back, it would reach nobody and be lost."""

    def __init__(self, consumer: str, stream: str) -> None:
        super().__init__(f"stream {stream or 'unknown'} has no consumer {consumer or 'unknown'} to give it to any more")
        self.consumer = consumer
        self.stream = stream


def subject_of(service: str, consumer: str) -> str:
    """The subject of a consumer's dead letters."""
    return f"deadletter.{service}.{consumer}"


def retry_subject(stream: str, consumer: str) -> str:
    """The subject that reaches one durable consumer alone (the provisioner lets its filter hear it)."""
    return f"retry.{stream.lower()}.{consumer}"


def headers_of(message: Msg, service: str, error: BaseException, reason: str) -> dict[str, str]:
    """The headers of the dead letter of ``message``: the original ones, and why.

    Its id is that of this letter alone: of a publish that is repeated, because nobody knows whether the first one came,
    the stream keeps one.
    """
    about = message.metadata
    return forwardable(message.headers) | {
        "Nats-Msg-Id": secrets.token_hex(16),
        "cw-service": service,
        "cw-consumer": about.consumer,
        "cw-stream": about.stream,
        "cw-subject": message.subject,
        "cw-sequence": str(about.sequence.stream),
        "cw-error-class": type(error).__name__,
        "cw-reason": reason,
        "cw-attempts": str(about.num_delivered),
    }


def read(headers: Mapping[str, str], body: bytes, number: int, time: datetime | None = None) -> DeadLetter:
    """The dead letter that ``headers`` describe; ``number`` is its sequence in the stream."""
    return DeadLetter(
        service=headers.get("cw-service", ""),
        consumer=headers.get("cw-consumer", ""),
        subject=headers.get("cw-subject", ""),
        sequence=int(headers.get("cw-sequence", "0")),
        error_class=headers.get("cw-error-class", ""),
        reason=headers.get("cw-reason", ""),
        attempts=int(headers.get("cw-attempts", "0")),
        event_id=headers.get("ce-id", ""),
        body=body,
        number=number,
        time=time,
    )


async def every(jetstream: JetStreamContext, *, service: str | None = None) -> AsyncIterator[DeadLetter]:
    """Every dead letter, oldest first, of one service or of all."""
    following = subject_of(service, "*") if service else WILDCARD
    number = 1
    while True:
        try:
            raw = await jetstream.get_msg(STREAM, seq=number, subject=following, next=True)
        except nats.js.errors.NotFoundError:
            return
        yield _letter(raw)
        number = (raw.seq or number) + 1


async def show(jetstream: JetStreamContext, number: int) -> DeadLetter | None:
    """One dead letter by its number, None when there is none."""
    try:
        return _letter(await jetstream.get_msg(STREAM, seq=number))
    except nats.js.errors.NotFoundError:
        return None


async def retry(jetstream: JetStreamContext, number: int) -> bool:
    """Give a dead letter to its consumer again, and to no other; False when there is none.

    ConsumerGone when nobody would hear it, such as after its target was removed; the letter stays then.
    """
    try:
        raw = await jetstream.get_msg(STREAM, seq=number)
    except nats.js.errors.NotFoundError:
        return False
    stream, consumer = (raw.headers or {}).get("cw-stream", ""), _letter(raw).consumer
    subject = retry_subject(stream, consumer)
    if not await _hears(jetstream, stream, consumer, subject):
        raise ConsumerGone(consumer, stream)
    again = {name: value for name, value in forwardable(raw.headers).items() if not name.startswith("cw-")}
    await jetstream.publish(
        subject,
        raw.data or b"",
        timeout=5,
        stream=stream,
        headers=again | {"cw-retry-of": str(number), "Nats-Msg-Id": f"retry.{number}.{_letter(raw).sequence}"},
    )
    return await discard(jetstream, number)


async def _hears(jetstream: JetStreamContext, stream: str, consumer: str, subject: str) -> bool:
    """Whether the durable consumer is there and listens to ``subject``."""
    if not (stream and consumer):
        return False
    try:
        found = (await jetstream.consumer_info(stream, consumer)).config
    except nats.js.errors.NotFoundError:
        return False
    return subject in (found.filter_subjects or [found.filter_subject])


async def discard(jetstream: JetStreamContext, number: int) -> bool:
    """Remove a dead letter; False when there is none."""
    try:
        return await jetstream.delete_msg(STREAM, number)
    except nats.js.errors.APIError:
        return False


def shown(letter: DeadLetter) -> dict[str, object]:
    """What a list may print: everything but the body."""
    told = {name: value for name, value in vars(letter).items() if name not in {"body", "time"}}
    return told | {"time": letter.time.isoformat() if letter.time else None}


def body_of(letter: DeadLetter) -> object:
    """The body as JSON where it is JSON, for ``show``; else ``{"base64": …}`` of its bytes."""
    try:
        return json.loads(letter.body)
    except ValueError:
        return {"base64": base64.b64encode(letter.body).decode("ascii")}


def _letter(raw: RawStreamMsg) -> DeadLetter:
    return read(raw.headers or {}, raw.data or b"", raw.seq or 0, raw.time)
