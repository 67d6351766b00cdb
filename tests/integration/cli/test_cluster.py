"""On a cluster a stream never loses replicas by accident."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import nats.errors
import nats.js.errors
import pytest
from nats.js import JetStreamContext

from cli.embedded.plan import overlaid_plan
from cli.streams import not_lowered
from shared.messaging.plan import Plan
from shared.messaging.provision import provision
from tests.support.nats import NatsServer
from tests.support.ports import free_ports


class Member(NatsServer):
    """One server of a cluster."""

    def __init__(self, folder: Path, name: str, port: int, others: list[int]) -> None:
        routes = ", ".join(f"nats://127.0.0.1:{other}" for other in others)
        self._membership = f'cluster {{ name: hospital, listen: "127.0.0.1:{port}", routes: [{routes}] }}'
        self._name = name
        super().__init__(folder)

    def configure(self, extra: str) -> None:
        super().configure(f"server_name: {self._name}\n{self._membership}\n{extra}")


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """One of three."""
    ports = free_ports(3)
    members = [Member(tmp_path / f"nats-{n}", f"nats-{n}", port, ports) for n, port in enumerate(ports)]
    for member in members:
        member.start()
    yield members[0]
    for member in members:
        member.kill()


def plan(replicas: int | None) -> Plan:
    """One stream alone: a cluster takes its time over each thing."""
    whole = overlaid_plan(Path("no overlay"), replicas)
    return Plan(tuple(stream for stream in whole.streams if stream.name == "IMAGING"), ())


async def eventually_provisioned(jetstream: JetStreamContext) -> None:
    """A stream with three copies, once the cluster has a leader."""
    for _ in range(100):
        try:
            await provision(jetstream, plan(3), {})
        except (nats.js.errors.APIError, nats.errors.TimeoutError):
            await asyncio.sleep(0.2)
        else:
            return
    pytest.fail("the cluster has no leader")


async def replicas(jetstream: JetStreamContext) -> int | None:
    """How many copies the stream has."""
    return (await jetstream.stream_info("IMAGING")).config.num_replicas


async def test_a_stream_loses_no_replica_unless_that_is_asked_for(
    nats_server: NatsServer, capfd: pytest.CaptureFixture[str]
) -> None:
    async with nats_server.client() as client:
        jetstream = client.jetstream(timeout=1)
        await eventually_provisioned(jetstream)
        changes = await provision(jetstream, await not_lowered(jetstream, plan(None)), {})
        assert {change.how for change in changes} == {"kept"}
        assert await replicas(jetstream) == 3
        assert "IMAGING keeps replicas 3: only --lower makes it 1" in capfd.readouterr().err
        await provision(jetstream, plan(None), {})
        assert await replicas(jetstream) == 1
