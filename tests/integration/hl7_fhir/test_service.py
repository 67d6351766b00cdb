"""The service as a whole, on a real bus: MLLP in, events and FHIR out."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from nats.js.errors import NotFoundError

from services.hl7_fhir.app import build
from services.hl7_fhir.config import Settings
from shared.identity import SiteKey
from shared.messaging.plan import read_plan
from shared.messaging.provision import provision
from tests.support.hl7 import code_of, mllp_peer, orm
from tests.support.nats import NatsServer
from tests.support.ports import free_ports
from tests.support.services import eventually, living

PLAN = read_plan({"streams": [{"name": "CLINICAL", "subjects": ["clinical.>"], "duplicate_window": "2h"}]})


@dataclass(frozen=True)
class Running:
    """The service as its neighbours see it."""

    mllp: int
    http: str
    nats: NatsServer
    site_key: SiteKey

    async def events(self) -> list[dict]:
        """Every event on the bus, in order."""
        found = []
        async with self.nats.jetstream() as jetstream:
            for number in range(1, 1000):
                try:
                    found.append(json.loads((await jetstream.get_msg("CLINICAL", seq=number)).data or b""))
                except NotFoundError:
                    return found
        return found

    async def get(self, path: str) -> httpx.Response:
        """A FHIR request."""
        async with httpx.AsyncClient(base_url=self.http) as client:
            return await client.get(path)


def settings(folder: Path, nats: NatsServer, mllp: int, url: str | None = None) -> Settings:
    SiteKey.create(folder / "site.key")
    return Settings(
        nats_url=nats.url,
        site_key_file=folder / "site.key",
        database_url=url or f"sqlite:///{folder / 'hl7_fhir.sqlite3'}",
        mllp_port=mllp,
        default_issuer="SITE",
    )


@asynccontextmanager
async def running(folder: Path, nats: NatsServer) -> AsyncIterator[Running]:
    async with nats.jetstream() as jetstream:
        await provision(jetstream, PLAN, {})
    read = settings(folder, nats, free_ports(1)[0])
    async with living(build(read)) as life:
        yield Running(read.mllp_port, f"http://127.0.0.1:{life.http_port}", nats, SiteKey.load(read.site_key_file))


@pytest.fixture
async def service(tmp_path: Path, nats_server: NatsServer) -> AsyncIterator[Running]:
    async with running(tmp_path, nats_server) as found:
        yield found


async def test_an_order_is_acknowledged_told_on_the_bus_and_readable_in_fhir(service: Running) -> None:
    async with mllp_peer(service.mllp) as peer:
        assert code_of(await peer.send(orm())) == "AA"

    async def told() -> bool:
        return len(await service.events()) == 2

    await eventually(told)
    registered, placed = await service.events()
    assert registered["type"] == "clinical.patient.registered.v1"
    assert placed["type"] == "clinical.order.placed.v1"
    assert placed["data"]["study_uid"] == "1.2.840.99.1"
    assert placed["data"]["accession_token"] == service.site_key.accession_token("SITE", "ACC1")
    assert placed["data"]["patient_token"] == service.site_key.patient_token("HOSP", "P1")
    request = (await service.get(f"/fhir/ServiceRequest/{placed['data']['order_ref']}")).json()
    assert request["subject"]["reference"] == f"Patient/{placed['data']['patient_ref']}"
    patient = (await service.get(f"/fhir/{request['subject']['reference']}")).json()
    assert patient["name"] == [{"family": "Doe", "given": ["Jane", "Q"]}]
