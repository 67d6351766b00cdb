"""The whole service on a real bus: from a stored batch to its plan, its proofs and its questions."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from contracts.events import (
    BatchArchived,
    BatchSecured,
    BatchStored,
    Blob,
    CommitmentDecided,
    CommitmentRequested,
    PackPlanned,
    Referenced,
)
from contracts.formats.manifest import write_manifest
from services.tier_routing.app import build
from services.tier_routing.config import Settings
from shared.identity import SiteKey
from shared.messaging.plan import read_plan
from shared.messaging.provision import provision
from shared.storage.filesystem import FilesystemStore
from shared.storage.parts import put_parts
from shared.yaml_lines import DocumentRefused
from tests.support.nats import NatsServer
from tests.support.ports import free_ports
from tests.support.services import eventually, living, publisher
from tests.unit.tier_routing.makers import NOON, batch, instance, key, manifest, verified

POLICY = """
format: causeway.policy/1
pack: {quiet: 200ms}
default:
  copies:
    - {form: identified, target: onsite}
    - {form: identified, target: cloud-a}
"""

TARGETS = """
targets:
  onsite: {kind: filesystem, url: "file:///tmp/onsite", jurisdiction: site, forms: [identified]}
  cloud-a: {kind: s3, endpoint: "http://127.0.0.1:1", bucket: copies, jurisdiction: eu, forms: [identified]}
"""


CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture
def settings(nats_server: NatsServer, tmp_path: Path) -> Settings:
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "targets.yaml").write_text(TARGETS)
    SiteKey.create(tmp_path / "site.key")
    return Settings(
        nats_url=nats_server.url,
        database_url=f"sqlite:///{tmp_path / 'ledger.sqlite3'}",
        landing_url=f"file://{tmp_path / 'landing'}",
        policy_file=tmp_path / "policy.yaml",
        targets_file=tmp_path / "targets.yaml",
        site_key_file=tmp_path / "site.key",
        pack_timer_every=0.05,
        http_port=free_ports(1)[0],
    )


async def prepare(server: NatsServer, settings: Settings) -> None:
    """The streams of a site and the consumers of this service alone."""
    service = build(settings)
    streams = [
        {"name": "IMAGING", "subjects": ["imaging.>"]},
        {"name": "CLINICAL", "subjects": ["clinical.>"]},
        {"name": "DEADLETTERS", "subjects": ["deadletter.>"]},
    ]
    consumers = [{"service": "tier_routing", "subject": row.subject} for row in service.consumes]
    async with server.jetstream() as jetstream:
        await provision(jetstream, read_plan({"streams": streams, "consumers": consumers}), {})


async def stored(settings: Settings, name: str = "batch-1", content: int = 1, ae: str = "CT1") -> BatchStored:
    """A batch in the landing store, and its event."""
    site_key = SiteKey.load(settings.site_key_file)
    document = write_manifest(manifest(instance(1, content=content), batch=name, ae=ae))
    landing = FilesystemStore(Path(settings.landing_url.removeprefix("file://")))
    size = await put_parts(landing, f"{name}/manifest", document)
    content = batch(name).model_copy(update={"manifest": Blob(store="landing", key=f"{name}/manifest", size=size)})
    return BatchStored(batch=content, study_uid="1.2", study_ref=site_key.study_ref("1.2"), opened=NOON, closed=NOON)


async def facts(server: NatsServer, subject: str) -> list[dict]:
    """Every event of ``subject`` in the stream, as envelopes."""
    found: list[dict] = []
    async with server.jetstream() as jetstream:
        sequence = 1
        while True:
            try:
                raw = await jetstream.get_msg("IMAGING", seq=sequence, subject=subject, next=True)
            except Exception:
                return found
            found.append(json.loads(raw.data))
            sequence = raw.seq + 1


async def test_a_stored_batch_is_planned_secured_and_archived_and_told_over_http(
    nats_server: NatsServer, settings: Settings
):
    await prepare(nats_server, settings)
    async with living(build(settings)), publisher(nats_server) as bus:
        await bus.publish(await stored(settings), id="stored-1")

        async def planned() -> bool:
            return len(await facts(nats_server, PackPlanned.subject)) == 1

        await eventually(planned)
        (envelope,) = await facts(nats_server, PackPlanned.subject)
        pack = PackPlanned(**envelope["data"])
        assert envelope["source"].endswith("/tier_routing")
        for target in ("onsite", "cloud-a"):
            await bus.publish(verified(key(target, pack=pack.pack_id)), id=f"verified-{target}")

        async def archived() -> bool:
            return len(await facts(nats_server, BatchArchived.subject)) == 1

        await eventually(archived)
        assert len(await facts(nats_server, BatchSecured.subject)) == 1
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.http_port}") as http:
            assert (await http.get("/api/overdue")).json() == []
            assert (await http.get("/api/summary")).json()["batches_archived"] == 1
            for of in ("batch-1", "1.2"):
                assert (await http.get(f"/api/ledger/{of}")).json()["packs"][0]["state"] == "archived"
            assert (await http.get("/api/ledger/nothing")).status_code == 404
            answer = await http.post("/api/replan", json={"all": True, "dry_run": True})
            assert (answer.json()["packs"], answer.json()["changed"]) == (1, 0)


@pytest.mark.parametrize(
    "body", [{}, {"all": True, "batch_id": "x"}, {"study": "1.2"}, {"study_uid": 5}, [], "all"], ids=str
)
async def test_a_replan_that_does_not_say_of_what_is_refused(nats_server: NatsServer, settings: Settings, body):
    await prepare(nats_server, settings)
    async with living(build(settings)), httpx.AsyncClient() as http:
        answer = await http.post(f"http://127.0.0.1:{settings.http_port}/api/replan", json=body)
        assert answer.status_code == 400


async def test_a_manifest_of_another_batch_becomes_a_dead_letter_that_overdue_shows(
    nats_server: NatsServer, settings: Settings
):
    await prepare(nats_server, settings)
    async with living(build(settings)), publisher(nats_server) as bus:
        event = await stored(settings)
        other = event.model_copy(update={"batch": event.batch.model_copy(update={"batch_id": "stranger"})})
        await bus.publish(other, id="stored-2")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.http_port}") as http:

            async def shown() -> bool:
                return [each["batch_id"] for each in (await http.get("/api/overdue")).json()] == ["stranger"]

            await eventually(shown)
            (listed,) = (await http.get("/api/overdue")).json()
            assert listed["dead_letters"][0]["reason"] == "manifest-mismatch"


def test_a_service_with_a_wrong_policy_does_not_start(settings: Settings):
    settings.policy_file.write_text(POLICY.replace("target: cloud-a", "target: cloud-z"))
    with pytest.raises(DocumentRefused, match=r"policy\.yaml:7: unknown target 'cloud-z'"):
        build(settings)


async def test_a_request_for_commitment_is_answered_for_all_that_was_stored_before_it(
    nats_server: NatsServer, settings: Settings
):
    """Although another process still has the newer version in work: the older one must not be taken for it."""
    await prepare(nats_server, settings)
    asked = CommitmentRequested(
        commitment_id="asked-1",
        transaction_uid="1.2.9",
        calling_ae="CT1",
        called_ae="CAUSEWAY",
        referenced=(Referenced(sop_class_uid=CT, stored=True, sop_instance_uids=("1.2.3.1",)),),
        requested=NOON,
    )
    async with living(build(settings)), publisher(nats_server) as bus:
        await bus.publish(await stored(settings, content=7, ae="MR1"), id="stored-1")

        async def planned() -> bool:
            return len(await facts(nats_server, PackPlanned.subject)) == 1

        await eventually(planned)
        (envelope,) = await facts(nats_server, PackPlanned.subject)
        for target in ("onsite", "cloud-a"):
            copy = key(target, pack=envelope["data"]["pack_id"])
            await bus.publish(verified(copy), id=f"verified-{target}")

        async def secured() -> bool:
            return len(await facts(nats_server, BatchSecured.subject)) == 1

        await eventually(secured)
    async with nats_server.jetstream() as jetstream, publisher(nats_server) as bus:
        await bus.publish(await stored(settings, "batch-2", content=8, ae="CT1"), id="stored-2")
        beside = await jetstream.pull_subscribe_bind("tier_routing_batch_stored", "IMAGING")
        (in_work,) = await beside.fetch(1)
        await bus.publish(asked, id="asked-1")
        base = f"http://127.0.0.1:{settings.http_port}"
        async with living(build(settings)), httpx.AsyncClient(base_url=base) as http:

            async def heard() -> bool:
                info = await jetstream.consumer_info("IMAGING", "tier_routing_commitment_requested")
                return bool(info.delivered and info.delivered.consumer_seq > 1)

            async def entered() -> bool:
                return (await http.get("/api/commitments")).json()["requests"] == 1

            async def tried() -> bool:
                return await heard() or await entered()

            await eventually(tried)
            assert not await entered()
            await in_work.nak()
            await eventually(entered)
            await asyncio.sleep(20 * settings.pack_timer_every)
            told = (await http.get("/api/commitments")).json()
            assert (told["decided"], len(told["waiting"])) == (0, 1), "the version that CT1 sent is not the first"
    assert await facts(nats_server, CommitmentDecided.subject) == []
