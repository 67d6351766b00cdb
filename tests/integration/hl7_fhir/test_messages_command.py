"""The commands about messages, against a service: what waits for a person, and what no map took."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from tests.integration.cli.conftest import folder_of
from tests.support.hl7 import adt, code_of, mllp_peer, orm
from tests.support.hl7_service import Hl7Service
from tests.support.nats import NatsServer
from tests.support.services import eventually


@pytest.fixture
async def service(tmp_path: Path, nats_server: NatsServer) -> AsyncIterator[Hl7Service]:
    found = Hl7Service(tmp_path, nats_server)
    await found.provision()
    await asyncio.to_thread(found.server.start)
    async with mllp_peer(found.mllp) as peer:
        partly, broken = adt() + b"ZPI|1|secret\r", orm().replace(b"ORC|NW", b"ORC|")
        assert [code_of(await peer.send(content)) for content in (partly, broken)] == ["AA", "AE"]
    await eventually(found.is_through, 60)
    yield found
    await asyncio.to_thread(found.server.stop)


async def test_losses_and_what_waits_for_a_person_are_shown(service: Hl7Service, nats_server: NatsServer) -> None:
    site = folder_of(service.folder / "site", nats_server.url, service.http)

    async def causeway(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, app, [*words, "--data", str(site.data)])

    told = await causeway("hl7", "losses", "--sender", "RIS", "--json")
    assert {"sender": "RIS", "field": "ZPI-2", "messages": 1} in json.loads(told.stdout)["losses"]
    assert json.loads((await causeway("hl7", "losses", "--sender", "HIS", "--json")).stdout) == {"losses": []}
    assert "ZPI-2" in (await causeway("hl7", "losses")).stdout
    listed = json.loads((await causeway("hl7", "list", "--state", "done", "--json")).stdout)["messages"]
    assert json.loads((await causeway("hl7", "list", "--flag", "patient-not-identified", "--json")).stdout) == {
        "messages": [],
        "open": {"refused": 1},
    }
    shown = await causeway("hl7", "show", listed[0]["ref"], "--losses")
    assert {"ZPI-1", "ZPI-2"} <= set(shown.stdout.split())
    assert "secret" not in told.stdout + shown.stdout
    state = await causeway("status", "--json")
    assert json.loads(state.stdout)["messages"] == {"waiting": 0, "refused": 1, "failed": 0}
    assert "0 wait to be mapped, 1 refused, 0 failed (`causeway hl7 list`)" in (await causeway("status")).stdout
