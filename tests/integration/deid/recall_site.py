"""A site on which what went out can be called back: every service that has a part in it, on a real bus."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import yaml
from pydicom import Dataset

from contracts.events import BatchStored
from services.catalog import app as catalog
from services.catalog.config import Settings as CatalogSettings
from services.tier_routing import app as tier_routing
from services.tier_routing.config import Settings as RoutingSettings
from shared.identity import SiteKey
from shared.service import Service
from tests.integration.deid.site import DeidSite
from tests.support.nats import NatsServer
from tests.support.ports import free_ports
from tests.support.services import eventually

POLICY = """
format: causeway.policy/1
pack: {size: 64MiB, quiet: 200ms, recovery_point: 5s}
commit_after: [onsite]
default:
  copies:
    - {form: identified, target: onsite, tier: hot}
    - {form: deidentified, target: onsite, tier: hot, key_domain: research, project: research}
    - {form: deidentified, target: remote, tier: hot, key_domain: research, project: research}
"""
OTHERS = ("tier_routing", "encryption", "replication", "verification")
WEAK = {"profile": "research", "version": "1", "reason": "a private attribute was kept that names the ward"}


class RecallSite(DeidSite):
    """The site with the ledger, so that plans are its own. ``remote`` is what targets.yaml says of the other target."""

    services = ("deid", "catalog", *OTHERS)

    def __init__(self, folder: Path, server: NatsServer, remote: dict[str, Any] | None = None) -> None:
        super().__init__(folder, server)
        if remote:
            self.targets["remote"] = remote
            (folder / "targets.yaml").write_text(yaml.safe_dump({"targets": self.targets}))
        self.port, self.catalog_port = free_ports(2)
        (folder / "policy.yaml").write_text(POLICY)

    def service(self, name: str, **others: Any) -> Service:
        values = self.values(name, **others)
        if name == "tier_routing":
            return tier_routing.build(RoutingSettings.model_validate(values))
        if name == "catalog":
            return catalog.build(CatalogSettings.model_validate(values))
        return super().service(name, **others)

    def values(self, name: str, **others: Any) -> dict[str, Any]:
        own: dict[str, dict[str, Any]] = {
            "tier_routing": {"policy_file": self.folder / "policy.yaml", "pack_timer_every": 0.05},
            "deid": {"http_port": self.port},
            "catalog": {
                "http_port": self.catalog_port,
                "summaries_url": f"file://{self.folder / 'summaries'}",
                "study_quiet": 1.0,
            },
        }
        return super().values(name, **own.get(name, {}), **others)

    async def stored(self, slices: list[Dataset]) -> None:
        """A batch of a study lies in the landing store, and that is told."""
        batch, uid = await self.batch_of(slices, "HOSP"), str(slices[0].StudyInstanceUID)
        study_ref = SiteKey.load(self.folder / "site.key").study_ref(uid)
        now = datetime.now(UTC)
        await self.say(BatchStored(batch=batch, study_uid=uid, study_ref=study_ref, opened=now, closed=now), uid)

    def profile(self, version: str) -> Path:
        """The folder with a version of the project's profile."""
        folder = self.folder / f"profiles-{version}"
        folder.mkdir(exist_ok=True)
        written = f'format: causeway.profile/1\nname: research\nversion: "{version}"\nlegal_basis: gdpr_pseudonymised\n'
        (folder / "research.yaml").write_text(written)
        return folder

    async def recalls(self) -> list[dict[str, Any]]:
        """How far every recall is."""
        async with self.http() as http:
            found: list[dict[str, Any]] = (await http.get("/api/deid/recalls")).json()["recalls"]
        return found

    async def recall(self, **others: str) -> httpx.Response:
        """Ask for one."""
        async with self.http() as http:
            return await http.post("/api/deid/recalls", json=WEAK | others)

    @asynccontextmanager
    async def http(self) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=20) as http:
            yield http

    async def where(self, sop_uid: str) -> dict[str, Any]:
        """What the catalogue shows of the one version of an instance."""
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.catalog_port}", timeout=20) as http:
            (version,) = (await http.get(f"/api/where/{sop_uid}")).json()["versions"]
        return dict(version)

    async def in_state(self, state: str) -> None:
        """Wait until every recall is."""

        async def are() -> bool:
            return {one["state"] for one in await self.recalls()} == {state}

        try:
            await eventually(are, 60)
        except AssertionError:
            raise AssertionError(f"{await self.recalls()}; {await self._summary()}") from None
