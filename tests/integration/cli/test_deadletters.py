"""``causeway deadletters``: what can be given back is, what cannot stays, and both are told."""

import asyncio
import json

from cli.embedded.plan import site_plan
from shared.messaging.provision import provision
from tests.integration.cli.conftest import Causeway
from tests.support.nats import NatsServer

CONSUMERS = ("replication_pack_sealed_other", "replication_pack_sealed_gone")


async def given_up(server: NatsServer) -> None:
    """A provisioned bus with a letter of each of the consumers, of which one is no more."""
    async with server.jetstream() as jetstream:
        await provision(jetstream, site_plan(), {"target": ["onsite", "other"]})
        for number, consumer in enumerate(CONSUMERS, 1):
            headers = {"cw-service": "replication", "cw-consumer": consumer, "cw-stream": "IMAGING"}
            await jetstream.publish(f"deadletter.replication.{consumer}", b"\xff" * number, headers=headers)


def test_one_letter_that_nobody_would_hear_holds_up_no_other(causeway: Causeway, nats_server: NatsServer) -> None:
    asyncio.run(given_up(nats_server))
    told = causeway("deadletters", "retry", "--all", "--json")
    assert told.exit_code == 1
    document = json.loads(told.stdout)
    assert document["given_back"] == [1]
    assert document["refused"][0]["number"] == 2
    assert "dead letter 2 stays: stream IMAGING has no consumer replication_pack_sealed_gone" in told.stderr
    (left,) = json.loads(causeway("deadletters", "list", "--json").stdout)
    assert left["number"] == 2
    shown = json.loads(causeway("deadletters", "show", "2", "--json").stdout)
    assert shown["body"] == {"base64": "//8="}
    assert json.loads(causeway("deadletters", "discard", "2", "--json").stdout) == {"discarded": [2], "refused": []}


def test_a_letter_that_is_not_there_is_an_error(causeway: Causeway, nats_server: NatsServer) -> None:
    asyncio.run(given_up(nats_server))
    for verb in ("show", "retry", "discard"):
        told = causeway("deadletters", verb, "17")
        assert (told.exit_code, told.stderr) == (1, "error: there is no dead letter 17\n")
