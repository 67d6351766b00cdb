"""Prints every completed study. Run it beside a site: ``python examples/subscriber.py nats://127.0.0.1:18103``."""

import asyncio
import json
import sys

import nats


async def main(url: str) -> None:
    bus = await nats.connect(url, max_reconnect_attempts=-1)
    # A durable consumer of your own: it remembers what you acknowledged, over restarts of either side.
    studies = await bus.jetstream().pull_subscribe("imaging.study.completed.v1", durable="example_subscriber")
    while True:
        try:
            messages = await studies.fetch(10, timeout=5)
        except nats.errors.TimeoutError:  # nothing new, or the bus is away: ask again
            continue
        for message in messages:
            study = json.loads(message.data)["data"]  # a CloudEvent; contracts/schemas has the schema of its data
            print(study["study_uid"], study["series"], "series", study["instances"], "instances", flush=True)
            await message.ack()  # not acknowledged, it comes again: ignore an event whose "id" you know


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "nats://127.0.0.1:18103"))
