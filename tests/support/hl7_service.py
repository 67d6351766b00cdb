"""hl7_fhir as a process of its own, as its neighbours see it."""

import json
import socket
from pathlib import Path

import httpx
from nats.js.errors import NotFoundError
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from contracts.streams import consumers
from shared.identity import SiteKey
from shared.messaging.plan import read_plan
from shared.messaging.provision import provision
from tests.support.nats import NatsServer
from tests.support.ports import free_ports
from tests.support.processes import ServiceProcess
from tests.support.services import eventually

PLAN = read_plan(
    {
        "streams": [
            {"name": "CLINICAL", "subjects": ["clinical.>"], "duplicate_window": "2h"},
            {"name": "IMAGING", "subjects": ["imaging.>"], "duplicate_window": "2h"},
            {"name": "DEADLETTERS", "subjects": ["deadletter.>"]},
        ],
        "consumers": [row for row in consumers() if row["service"] == "hl7_fhir"],
    }
)


class Hl7Service:
    """One process with its database, logs and spans in ``folder``; it can be killed and started again."""

    def __init__(self, folder: Path, nats: NatsServer, **settings: str) -> None:
        self.folder = folder
        self.nats = nats
        self.site_key = SiteKey.create(folder / "site.key")
        self.mllp, self._http = free_ports(2)
        self.http = f"http://127.0.0.1:{self._http}"
        self.log, self.spans = folder / "hl7_fhir.log", folder / "spans.jsonl"
        values = {
            "nats_url": nats.url,
            "site_key_file": str(folder / "site.key"),
            "database_url": f"sqlite:///{folder / 'hl7_fhir.sqlite3'}",
            "mllp_port": str(self.mllp),
            "http_port": str(self._http),
            "trace_file": str(self.spans),
            "patient_issuer": "SITE",
            "order_issuer": "SITE",
            "summaries_url": f"file://{folder / 'summaries'}",
            **settings,
        }
        self._database = create_engine(values["database_url"], poolclass=NullPool)
        self.server = ServiceProcess(
            "services.hl7_fhir.app:build",
            log=self.log,
            ready=self._listens,
            environment={f"CAUSEWAY_{name.upper()}": value for name, value in values.items()},
            folder=folder,
        )

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.mllp)) == 0

    async def provision(self) -> None:
        """Make the streams, and the consumers of this service."""
        async with self.nats.jetstream() as jetstream:
            await provision(jetstream, PLAN, {})

    async def event_count(self) -> int:
        """How many events are on the bus."""
        async with self.nats.jetstream() as jetstream:
            return (await jetstream.stream_info("CLINICAL")).state.messages

    async def events(self) -> list[dict]:
        """Every event on the bus, in order."""
        found: list[dict] = []
        async with self.nats.jetstream() as jetstream:
            try:
                for number in range(1, 10_000):
                    found.append(json.loads((await jetstream.get_msg("CLINICAL", seq=number)).data or b""))
            except NotFoundError:
                pass
        return found

    async def is_through(self) -> bool:
        """Whether every message that was acknowledged has been mapped."""
        with self._database.connect() as connection:
            return not connection.execute(text("SELECT count(*) FROM messages WHERE state = 'waiting'")).scalar_one()

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """A FHIR request, once what was acknowledged has been mapped."""
        await eventually(self.is_through, 60)
        async with httpx.AsyncClient(base_url=self.http) as client:
            return await client.get(path, headers=headers)
