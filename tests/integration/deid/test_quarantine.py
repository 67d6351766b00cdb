"""What people decide of what was withheld, over HTTP, on a real bus, with the services that seal and prove."""

import asyncio
import json
import re
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.uid import CTImageStorage, JPEG2000Lossless, SecondaryCaptureImageStorage
from typer.testing import CliRunner

from cli.main import app as cli
from contracts.events import CopyVerified, InstancesQuarantined, PackDeidentified
from tests.integration.cli.conftest import folder_of
from tests.integration.copies.site import objects
from tests.integration.deid.site import PLAN, SERVICES, DeidSite, archived, study
from tests.support.instances import CANARY
from tests.support.packs import planned
from tests.support.ports import free_ports
from tests.support.services import eventually
from tests.unit.deid.pictures import lettered, picture


class Answer(NamedTuple):
    """What a command came to."""

    exit_code: int | None
    output: str


class Desk:
    """A site at work, and a person at its API."""

    def __init__(self, site: DeidSite, client: httpx.AsyncClient) -> None:
        self.site = site
        self.client = client

    async def listed(self, state: str = "waiting") -> list[dict[str, Any]]:
        found = (await self.client.get("/api/quarantine", params={"state": state})).json()
        assert found["total"] == len(found["withheld"])
        return list(found["withheld"])

    async def shown(self, entry: str) -> dict[str, Any]:
        answer = await self.client.get(f"/api/quarantine/{entry}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def decide(self, entry: str, action: str, **more: str) -> httpx.Response:
        body = {"action": action, "reason": "looked at it", **more}
        return await self.client.post(f"/api/quarantine/{entry}", json=body)


@asynccontextmanager
async def desk(site: DeidSite, *services: str, **settings: Any) -> AsyncIterator[Desk]:
    """The services at work, deid with an HTTP port."""
    (port,) = free_ports(1)
    others = [name for name in services or SERVICES if name != "deid"]
    # While a person waits, networks are loaded and a picture is cleaned: pytest's own timeout bounds it.
    client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=120)
    around = site.running(*others) if others else nullcontext()
    async with around, site.running("deid", http_port=port, **settings), client:
        yield Desk(site, client)


async def withheld(at: Desk, slices: list[Dataset] | None = None) -> dict[str, Any]:
    """A study goes through; the entry of its screenshot."""
    batch = await at.site.batch_of(slices or study())
    await at.site.say(planned([batch], PLAN), "plan")
    await at.site.until(PackDeidentified, lambda found: len(found) == 1)
    (entry,) = await at.listed()
    return entry


async def test_an_approved_entry_goes_out_as_the_next_part_of_its_pack_and_is_proven(site: DeidSite) -> None:
    slices = study()
    async with desk(site) as at:
        batch = await site.batch_of(slices)
        event = planned([batch], PLAN)
        await site.say(event, "plan")
        verified = await site.until(CopyVerified, lambda found: len(found) == 2)
        await site.say(archived(event, verified), "archived")
        (entry,) = await at.listed()
        assert (entry["reason"], entry["state"], entry["modality"]) == ("pixels-unproven", "waiting", None)
        found = await at.shown(entry["id"])
        assert found["hindrance"] is None
        assert found["left"] == []
        assert CANARY.patient_id not in str(found["header"])
        answer = await at.decide(entry["id"], "approve", candidate=found["candidate"])
        assert (answer.status_code, answer.json()["outcome"]) == (200, "approved")
        first, part = await site.until(PackDeidentified, lambda found: len(found) == 2)
        proven = await site.until(CopyVerified, lambda found: len(found) == 3)
        again = await at.decide(entry["id"], "approve", candidate=found["candidate"])
        assert (again.status_code, again.json()["outcome"]) == (200, "already-decided")
        (decision,) = again.json()["decisions"]
        assert await at.listed() == []
        assert [one["id"] for one in await at.listed("approved")] == [entry["id"]]
        content = await site.content(part.archive)
    assert (first.part, part.part, part.source_pack_id, part.project) == (0, 1, "pack", "research")
    assert part.copies == first.copies
    assert part.pack_id != first.pack_id
    assert proven[2].copy_key.pack_id == part.pack_id
    assert (decision["who"], decision["action"], decision["reason"]) == ("loopback", "approve", "looked at it")
    (inside,) = [dcmread(BytesIO(ZipFile(BytesIO(content)).read("000001.dcm")))]
    assert inside.pixel_array.tolist() == slices[-1].pixel_array.tolist()
    manifest = await site.manifest(first)
    assert (await site.manifest(part)).study_uid == manifest.study_uid == inside.StudyInstanceUID
    shown = content + await site.content(part.manifest) + await site.content(part.headers)
    assert [value for value in CANARY.values if value.encode() in shown] == []
    assert not any("quarantine" in key for key in await objects(site.deid))
    assert await site.dead_letters() == 0


async def test_in_what_goes_out_later_there_is_nothing_of_whom_the_rest_of_its_study_named(site: DeidSite) -> None:
    """That is kept, sealed, for the rest may be gone by then."""
    slices = study()
    shot = slices[-1]
    shot.PatientName = shot.PatientID = shot.AccessionNumber = ""
    shot.ConvolutionKernel = CANARY.name.partition("^")[0]
    async with desk(site, "deid") as at:
        entry = await withheld(at, slices)
        found = await at.shown(entry["id"])
        await at.decide(entry["id"], "approve", candidate=found["candidate"])
        _, part = await site.until(PackDeidentified, lambda found: len(found) == 2)
        content = await site.content(part.archive)
    (inside,) = [dcmread(BytesIO(ZipFile(BytesIO(content)).read("000001.dcm")))]
    assert inside.get("ConvolutionKernel", "") == ""
    ((sealed,),) = site.rows("SELECT studies FROM result")
    assert sealed and not any(value.encode() in sealed for value in CANARY.values)


async def test_a_rejected_entry_stays_out_and_its_bytes_go(site: DeidSite) -> None:
    async with desk(site, "deid") as at:
        entry = await withheld(at)
        assert any(key.startswith("quarantine/") for key in await objects(site.deid))
        answer = await at.decide(entry["id"], "reject")
        assert (answer.status_code, answer.json()["state"]) == (200, "rejected")
        assert not any(key.startswith("quarantine/") for key in await objects(site.deid))
        refused = await at.decide(entry["id"], "approve", candidate="0" * 64)
        assert (refused.status_code, refused.json()) == (409, {"error": "already-rejected"})
        again = await at.decide(entry["id"], "reject")
        assert again.json()["outcome"] == "already-decided"
        assert (await at.shown(entry["id"]))["hindrance"] == "decided"
        assert (await at.client.get(f"/api/quarantine/{entry['id']}/before.png")).status_code == 404
        await site.replay()
        await eventually(site.idle)
        assert not any(key.startswith("quarantine/") for key in await objects(site.deid))
    assert len(await site.said(PackDeidentified)) == 1


async def test_a_retry_comes_to_what_the_rules_say_now(site: DeidSite) -> None:
    """Under the same profile to the same reason; once a screenshot may go, to a part without anybody's approval."""
    async with desk(site, "deid") as at:
        entry = await withheld(at)
        answer = await at.decide(entry["id"], "retry")
        assert (answer.json()["outcome"], answer.json()["state"]) == ("withheld-pixels-unproven", "waiting")
        again = await at.decide(entry["id"], "retry")
        assert len(again.json()["decisions"]) == 2
    assert len(await site.said(PackDeidentified)) == 1


async def test_what_goes_out_is_what_was_looked_at(site: DeidSite) -> None:
    async with desk(site, "deid") as at:
        entry = await withheld(at)
        answer = await at.decide(entry["id"], "approve", candidate="0" * 64)
        assert (answer.status_code, answer.json()) == (409, {"error": "changed-since-it-was-looked-at"})
        assert (await at.shown(entry["id"]))["state"] == "waiting"


@pytest.mark.parametrize(
    "body",
    [
        {"action": "approve", "reason": "x"},
        {"action": "reject", "reason": " "},
        {"action": "reject"},
        {"action": "expire", "reason": "x"},
        ["reject"],
    ],
)
async def test_a_decision_without_an_action_or_a_reason_is_none(site: DeidSite, body: Any) -> None:
    async with desk(site, "deid") as at:
        entry = await withheld(at)
        answer = await at.client.post(f"/api/quarantine/{entry['id']}", json=body)
        assert answer.status_code == 422
        assert (
            await at.client.post("/api/quarantine/nobody", json={"action": "reject", "reason": "x"})
        ).status_code == 404
        assert (await at.shown(entry["id"]))["decisions"] == []


async def test_a_question_that_is_asked_wrongly_is_no_empty_list(site: DeidSite) -> None:
    """A misspelt state or filter, or a portion that there is not, is refused with what may be asked."""
    states = "waiting, approved, rejected, cleaned, expired"
    async with desk(site, "deid") as at:
        entry = await withheld(at)

        async def asked(query: str) -> tuple[int, Any]:
            answer = await at.client.get(f"/api/quarantine{query}")
            return answer.status_code, answer.json().get("error", answer.json().get("total"))

        assert await asked("?state=nonsense") == (400, f"state is one of {states}")
        assert await asked("?state=") == (400, f"state is one of {states}")
        named = (400, "the query may have state, project, limit, offset, and nothing else")
        assert await asked("?status=waiting") == named
        assert await asked("?state=waiting&state=rejected") == (400, "each parameter is to be said once")
        assert (await asked("?project="))[0] == 400
        assert await asked("?limit=501") == (400, "limit is a whole number from 0 to 500")
        for offset in ("-1", "1.5", "x", "", str(2**63)):
            assert await asked(f"?offset={offset}") == (400, f"offset is a whole number from 0 to {2**63 - 1}")
        assert await asked("?state=waiting&project=research&limit=500") == (200, 1)
        assert await asked(f"?offset={2**63 - 1}&limit=0") == (200, 1)
        assert await asked("?state=approved") == await asked("?project=another") == (200, 0)
        assert await asked("/nobody") == (404, "there is no such entry")
        assert (await asked(f"/{entry['id']}/before.png?frame=x"))[0] == 400
        assert await asked(f"/{entry['id']}/beside.png") == await asked("/nobody/before.png") == await asked("/nobody")


async def test_people_see_both_pictures(site: DeidSite) -> None:
    async with desk(site, "deid") as at:
        entry = await withheld(at)
        for side in ("before", "after"):
            answer = await at.client.get(f"/api/quarantine/{entry['id']}/{side}.png")
            assert answer.headers["content-type"] == "image/png"
            assert answer.content.startswith(b"\x89PNG")
        assert (await at.client.get(f"/api/quarantine/{entry['id']}/after.png?frame=7")).status_code == 404


HOLDING = """
format: causeway.profile/1
name: pictures
version: "1"
legal_basis: gdpr_pseudonymised
options: [clean_pixel_data]
pictures: {secondary_capture: false}
"""


async def test_a_compressed_picture_that_the_profile_holds_is_seen_and_let_go(site: DeidSite) -> None:
    """Both sides of it as people see them; approved, it goes out cleaned, with who said so and why."""
    grey = lettered(160, 240, text="DOE, JANE")
    folder = site.folder / "profiles"
    folder.mkdir()
    (folder / "research.yaml").write_text(HOLDING)
    capture = picture([grey], JPEG2000Lossless, SOPClassUID=SecondaryCaptureImageStorage)
    async with desk(site, "deid", profile_dir=folder) as at:
        await at.site.say(planned([await at.site.batch_of([capture])], PLAN), "plan")
        await site.until(InstancesQuarantined, lambda found: len(found) == 1)
        (entry,) = await at.listed()
        assert entry["reason"] == "secondary-capture"
        shown = {}
        for side in ("before", "after"):
            answer = await at.client.get(f"/api/quarantine/{entry['id']}/{side}.png")
            shown[side] = np.asarray(Image.open(BytesIO(answer.content)))
        found = await at.shown(entry["id"])
        assert (found["hindrance"], found["left"]) == (None, [])
        answer = await at.decide(entry["id"], "approve", candidate=found["candidate"])
        (told,) = await site.until(PackDeidentified, lambda found: len(found) == 1)
        (decision,) = answer.json()["decisions"]
        content = await site.content(told.archive)
    assert shown["before"][grey > 200].min() > 200
    assert shown["after"][grey > 200].max() < 10
    assert (told.part, decision["who"], decision["reason"]) == (1, "loopback", "looked at it")
    inside = dcmread(BytesIO(ZipFile(BytesIO(content)).read("000001.dcm")))
    assert set(inside.pixel_array[grey > 100].tolist()) == {0}


async def test_decisions_survive_a_restart_and_a_later_run_tells_of_the_parts(site: DeidSite) -> None:
    async with desk(site, "deid") as at:
        entry = await withheld(at)
        found = await at.shown(entry["id"])
        await at.decide(entry["id"], "approve", candidate=found["candidate"])
    async with desk(site, "deid") as at:
        assert (await at.shown(entry["id"]))["state"] == "approved"
        event = planned([], PLAN).model_copy(update={"run": 1})
        await site.say(event, "plan-1")
        told = await site.until(PackDeidentified, lambda found: len(found) == 4)
    assert [(one.part, one.run) for one in told] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert told[3] == told[1].model_copy(update={"run": 1})


async def test_two_people_at_once_make_one_decision(site: DeidSite) -> None:
    async with desk(site, "deid") as at:
        entry = await withheld(at)
        found = await at.shown(entry["id"])
        both = await asyncio.gather(
            at.decide(entry["id"], "approve", candidate=found["candidate"]), at.decide(entry["id"], "reject")
        )
        assert sorted(answer.status_code for answer in both) == [200, 409]
        assert len((await at.shown(entry["id"]))["decisions"]) == 1


async def test_what_nobody_decides_of_in_time_is_rejected(site: DeidSite) -> None:
    async with desk(site, "deid") as at:
        entry = await withheld(at)
        assert len(await site.said(InstancesQuarantined)) == 1
    site.age(days=31)
    async with desk(site, "deid", quarantine_days=30) as at:

        async def expired() -> bool:
            return [one["id"] for one in await at.listed("expired")] == [entry["id"]]

        await eventually(expired)
        (decision,) = (await at.shown(entry["id"]))["decisions"]
        assert (decision["who"], decision["action"]) == ("retention", "expire")

        async def gone() -> bool:
            return not any(key.startswith("quarantine/") for key in await objects(site.deid))

        await eventually(gone)


async def test_a_report_tells_what_was_done_and_nothing_of_the_original(site: DeidSite) -> None:
    """Of the pack and of the part that joined it; by the planned pack's id, or by its own."""
    slices = study()
    async with desk(site, "deid") as at:
        entry = await withheld(at, slices)
        found = await at.shown(entry["id"])
        await at.decide(entry["id"], "approve", candidate=found["candidate"])
        first, part = await site.until(PackDeidentified, lambda found: len(found) == 2)
        answer = await at.client.get("/api/deid/reports/pack")
        whole, second = answer.json()["reports"]
        only = (await at.client.get(f"/api/deid/reports/{part.pack_id}")).json()["reports"]
        assert (await at.client.get("/api/deid/reports/another")).status_code == 404
    assert [whole["pack_id"], second["pack_id"]] == [first.pack_id, part.pack_id]
    assert only == [second]
    assert (whole["instances"], whole["withheld"]) == (3, {"pixels-unproven": 1})
    assert whole["entries"] == [{"entry": entry["id"], "reason": "pixels-unproven"}]
    assert (second["instances"], second["withheld"], second["entries"]) == (1, {}, [])
    assert {"attribute": "(0008,0050)", "action": "emptied", "rule": "basic", "count": 3} in whole["steps"]
    assert whole["profile"] == {"name": "basic", "version": "1", "legal_basis": "gdpr_pseudonymised", "options": []}
    assert whole["statement"].strip()
    hidden = [*CANARY.values, slices[0].StudyInstanceUID, slices[0].SOPInstanceUID, "research-none"]
    assert [value for value in hidden if str(value) in answer.text] == []


async def test_a_report_tells_also_of_a_pack_of_which_nothing_went_out(site: DeidSite, tmp_path: Path) -> None:
    """What was withheld and for which reason, and how to find each entry; by the id that quarantine has of the pack."""
    slices = study(1, 2)[1:]
    async with desk(site, "deid") as at:
        await site.say(planned([await site.batch_of(slices)], PLAN), "plan")
        (told,) = await site.until(InstancesQuarantined, lambda found: len(found) == 1)
        entries = await at.listed()
        answer = await at.client.get(f"/api/deid/reports/{entries[0]['pack_id']}")
        assert answer.status_code == 200, answer.text
        folder = folder_of(tmp_path / "site", "nats://127.0.0.1:9", http=str(at.client.base_url))
        given = ["deid", "report", "pack", "--data", str(folder.data)]
        shown = await asyncio.to_thread(lambda: CliRunner().invoke(cli, given))
        # The first of them goes out later, as a part with a report of its own; what was withheld at first stays told.
        found = await at.shown(entries[0]["id"])
        await at.decide(entries[0]["id"], "approve", candidate=found["candidate"])
        (part,) = await site.until(PackDeidentified, lambda found: len(found) == 1)
        later = (await at.client.get("/api/deid/reports/pack")).json()["reports"]
    (report,) = answer.json()["reports"]
    assert (told.released, report["instances"], report["withheld"]) == (0, 0, {"pixels-unproven": 2})
    ids = sorted(one["id"] for one in entries)
    assert report["entries"] == [{"entry": each, "reason": "pixels-unproven"} for each in ids]
    assert (report["steps"], report["profile"]["name"]) == ([], "basic")
    assert report["statement"].strip()
    assert shown.exit_code == 0
    assert all(re.search(rf"{each} +pixels-unproven", shown.output) for each in ids)
    assert later[0] == report
    assert [one["pack_id"] for one in later[1:]] == [part.pack_id]
    hidden = [*CANARY.values, *(each.SOPInstanceUID for each in slices), slices[0].StudyInstanceUID]
    assert [value for value in hidden if str(value) in answer.text + shown.output] == []


async def test_a_report_that_an_earlier_version_kept_is_told_still(site: DeidSite) -> None:
    """They had it beside what goes out."""
    async with desk(site, "deid") as at:
        await withheld(at)
        before = (await at.client.get("/api/deid/reports/pack")).json()
    site.keep_report_as_before()
    async with desk(site, "deid") as at:
        assert (await at.client.get("/api/deid/reports/pack")).json() == before


PROFILE = """
format: causeway.profile/1
name: strict
version: "{version}"
legal_basis: gdpr_pseudonymised
{more}
"""


async def test_a_retry_under_another_profile_lets_it_go(site: DeidSite) -> None:
    """The profile held every CT; the next one does not. Nobody has to look at what comes out clean."""
    folder = site.folder / "profiles"
    folder.mkdir()
    held = f'hold: {{sop_classes: ["{CTImageStorage}"]}}'
    (folder / "research.yaml").write_text(PROFILE.format(version=1, more=held))
    async with desk(site, "deid", profile_dir=folder) as at:
        await site.say(planned([await site.batch_of(study(1, 0))], PLAN), "plan")
        await site.until(InstancesQuarantined, lambda found: len(found) == 1)
        (entry,) = await at.listed()
        assert entry["reason"] == "held-by-profile"
    (folder / "research.yaml").write_text(PROFILE.format(version=2, more=""))
    async with desk(site, "deid", profile_dir=folder) as at:
        answer = await at.decide(entry["id"], "retry")
        assert (answer.json()["outcome"], answer.json()["state"]) == ("cleaned", "cleaned")
        (told,) = await site.until(PackDeidentified, lambda found: len(found) == 1)
        assert (told.part, told.instances) == (1, 1)
        assert (await at.decide(entry["id"], "retry")).json()["outcome"] == "already-decided"
        refused = await at.decide(entry["id"], "reject")
        assert (refused.status_code, refused.json()) == (409, {"error": "already-cleaned"})
        (made,) = (await at.client.get(f"/api/deid/reports/{told.pack_id}")).json()["reports"]
        assert made["profile"]["version"] == "2"


async def test_a_process_that_died_after_a_decision_leaves_nothing_untold(site: DeidSite) -> None:
    """The decision is durable, the fact was not told yet: the next process tells it, once."""
    async with desk(site, "deid") as at:
        entry = await withheld(at)
        found = await at.shown(entry["id"])
        await at.decide(entry["id"], "approve", candidate=found["candidate"])
        await site.until(PackDeidentified, lambda found: len(found) == 2)
    site.run("UPDATE part SET told = 0")
    site.run("DELETE FROM outbox")
    async with desk(site, "deid"):
        await eventually(lambda: site.rows("SELECT told FROM part") == [(True,)])
    assert len({event_id for event_id, _ in await site.told()}) == len(await site.said(PackDeidentified)) + 2


async def test_the_command_lists_shows_and_decides(site: DeidSite, tmp_path: Path) -> None:
    """``causeway quarantine`` from the list to the part that goes out, and ``causeway deid report`` of it."""
    async with desk(site, "deid") as at:
        entry = await withheld(at)
        folder = folder_of(tmp_path / "site", "nats://127.0.0.1:9", http=str(at.client.base_url))

        async def causeway(*words: str) -> Answer:
            given = [*words, "--data", str(folder.data)]
            result = await asyncio.to_thread(lambda: CliRunner().invoke(cli, given))
            # The services of this process log to the same place, each line with its date.
            lines = [line for line in result.output.splitlines() if not re.match(r"\d{4}-\d\d-\d\d", line)]
            return Answer(result.exit_code, "\n".join(lines))

        async def told(*words: str) -> Any:
            answer = await causeway(*words, "--json")
            assert answer.exit_code == 0, answer.output
            return json.loads(answer.output)

        assert [one["id"] for one in (await told("quarantine", "list"))["withheld"]] == [entry["id"]]
        assert (await told("quarantine", "list", "--state", "rejected"))["total"] == 0
        assert entry["id"] in (await causeway("quarantine", "list")).output
        assert (await causeway("quarantine", "list", "--state", "lost")).exit_code == 2
        seen_at = ("--pictures", str(tmp_path / "seen"))
        seen = await told("quarantine", "show", entry["id"], *seen_at)
        assert [Path(one).name for one in seen["pictures"]] == ["before.png", "after.png"]
        assert {stat.S_IMODE(Path(one).stat().st_mode) for one in seen["pictures"]} == {0o600}
        nowhere = await causeway("quarantine", "show", entry["id"], "--pictures", __file__)
        assert (nowhere.exit_code, nowhere.output) == (1, f"error: nothing can be written to {__file__}: File exists")
        further = await causeway("quarantine", "show", entry["id"], *seen_at, "--frame", "7")
        assert "there is no picture of frame 7 before" in further.output
        assert list((tmp_path / "seen").iterdir()) == []
        assert (await causeway("quarantine", "approve", entry["id"])).exit_code == 2
        assert (await causeway("quarantine", "approve", "nobody", "--reason", "x")).exit_code == 1
        held = await told("quarantine", "retry", entry["id"], "--reason", "once more")
        assert held["outcome"] == "withheld-pixels-unproven"
        answer = await causeway("quarantine", "approve", entry["id"], "--reason", "seen")
        assert (answer.exit_code, "approved" in answer.output) == (0, True)
        refused = await causeway("quarantine", "reject", entry["id"], "--reason", "too late")
        assert (refused.exit_code, "already-approved" in refused.output) == (1, True)
        (decided,) = (await told("quarantine", "list", "--state", "all"))["withheld"]
        assert decided["state"] == "approved"
        decisions = (await told("quarantine", "show", entry["id"]))["decisions"]
        assert [one["reason"] for one in decisions] == ["once more", "seen"]
        assert len((await told("deid", "report", "pack"))["reports"]) == 2
        shown = await causeway("deid", "report", "pack")
        assert "(0008,0050)" in shown.output
        assert "emptied" in shown.output
