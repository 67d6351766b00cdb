"""What ``causeway where`` says of an instance that was withheld, before and after a person lets it go."""

import asyncio
import json
import re
from pathlib import Path

from pydicom.uid import SecondaryCaptureImageStorage
from typer.testing import CliRunner

from cli.main import app
from contracts.events import BatchArchived, CopyVerified, PackDeidentified
from tests.integration.cli.conftest import folder_of
from tests.integration.deid.recall_site import OTHERS, RecallSite
from tests.support.instances import make_instances
from tests.support.nats import NatsServer
from tests.support.services import eventually


async def test_where_tells_of_an_approved_instance_that_it_is_out_and_in_which_object(
    tmp_path: Path, nats_server: NatsServer
) -> None:
    site = RecallSite(tmp_path, nats_server)
    folder = folder_of(tmp_path / "site", "nats://127.0.0.1:9", http=f"http://127.0.0.1:{site.catalog_port}")
    slices = make_instances(1)
    kind = {"SOPClassUID": SecondaryCaptureImageStorage}
    (shot,) = make_instances(1, study_uid=slices[0].StudyInstanceUID, **kind)

    async def said(*more: str) -> str:
        given = ["where", str(shot.SOPInstanceUID), "--data", str(folder.data), *more]
        result = await asyncio.to_thread(lambda: CliRunner().invoke(app, given))
        assert result.exit_code == 0, result.output
        # The services of this process log to the same place, each line with its date.
        return "\n".join(line for line in result.stdout.splitlines() if not re.match(r"\d{4}-\d\d-\d\d", line))

    async with site.running(*OTHERS, "catalog"), site.running("deid", profile_dir=site.profile("1")):
        await site.stored([*slices, shot])
        await site.until(BatchArchived, lambda found: len(found) == 1)

        async def is_withheld() -> bool:
            return bool((await site.where(str(shot.SOPInstanceUID)))["withheld"])

        await eventually(is_withheld)
        before = await said()
        async with site.http() as http:
            (entry,) = (await http.get("/api/quarantine")).json()["withheld"]
            found = (await http.get(f"/api/quarantine/{entry['id']}")).json()
            body = {"action": "approve", "reason": "seen", "candidate": found["candidate"]}
            assert (await http.post(f"/api/quarantine/{entry['id']}", json=body)).status_code == 200
        _, part = await site.until(PackDeidentified, lambda found: len(found) == 2)
        proven = await site.until(CopyVerified, lambda found: len(found) == 5)

        async def all_proven() -> bool:
            copies = (await site.where(str(shot.SOPInstanceUID)))["copies"]
            return [one["state"] for one in copies] == ["proven"] * 3

        await eventually(all_proven)
        after, document = await said(), await said("--json")
    assert "withheld from research: pixels-unproven" in before
    assert "released" not in before
    assert "withheld from" not in after
    others, out = after.split("released to research")
    assert f"withheld for pixels-unproven before) in pack {part.pack_id}" in out
    keys = {(one.copy_key.target, one.copy_key.keys[0]) for one in proven if one.copy_key.pack_id == part.pack_id}
    assert {target for target, _ in keys} == {"onsite", "remote"}
    rows = [line.split() for line in out.splitlines()]
    assert {(row[0], row[5]) for row in rows if row[1:4] == ["deidentified", "1", "proven"]} == keys
    assert not any(key in others for _, key in keys)
    (version,) = json.loads(document)["versions"]
    assert version["withheld"] == []
    assert version["released"] == [{"project": "research", "reason": "pixels-unproven", "pack_id": part.pack_id}]
