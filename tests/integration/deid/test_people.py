"""The way back from a pseudonym, and merged patients, on a real bus and over HTTP."""

import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import CompletedProcess

import httpx
import pytest

from contracts.events import PackDeidentified, PatientMerged
from shared.identity import SiteKey
from tests.integration.cli.conftest import folder_of
from tests.integration.deid.site import PLAN, DeidSite, study
from tests.support.instances import CANARY, make_instances
from tests.support.packs import planned
from tests.support.ports import free_ports
from tests.support.services import eventually

ALICE, BOB = "alice-token-of-32-characters-here", "bobby-token-of-32-characters-here"
REASON = "CANARYREASON: the referring physician asks about MRN 4711"


@asynccontextmanager
async def answering(site: DeidSite, **others: object) -> AsyncIterator[httpx.AsyncClient]:
    """De-identification with its HTTP API, as alice asks it."""
    (port,) = free_ports(1)
    tokens = site.folder / "tokens"
    tokens.write_text(f"alice {ALICE}\nbob {BOB}\n")
    os.chmod(tokens, 0o600)
    async with (
        site.running("deid", http_port=port, http_token_file=tokens, **others),
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {ALICE}"}, timeout=20
        ) as http,
    ):
        yield http


async def test_a_pseudonym_and_a_new_uid_lead_back_with_a_reason_that_no_log_shows(
    site: DeidSite, capfd: pytest.CaptureFixture[str]
) -> None:
    """Who asked is in the log under the disclosure's id; the person and the reason are not."""
    slices = study(2, 0)
    batch = await site.batch_of(slices, "HOSP")
    async with answering(site) as http:
        await site.say(planned([batch], PLAN), "plan")
        (told,) = await site.until(PackDeidentified, lambda found: len(found) == 1)
        new = (await site.manifest(told)).instances[0]
        asked = {"project": "research", "reason": REASON}
        by_uid = await http.post("/api/deid/reidentify", json={**asked, "uid": new.sop_instance_uid})
        exported = await http.post("/api/deid/export", json=asked)
        lines = [json.loads(line) for line in exported.text.splitlines()]
        pseudonym = next(one["replacement"] for one in lines if one["kind"] == "patient")
        by_patient = await http.post("/api/deid/reidentify", json={**asked, "patient": pseudonym})
        unknown = await http.post("/api/deid/reidentify", json={**asked, "patient": "PFFFF"})
        elsewhere = await http.post("/api/deid/reidentify", json={**asked, "project": "other", "patient": pseudonym})
    assert by_uid.json()["found"][0]["original"] in {each.SOPInstanceUID for each in slices}
    assert [one["original"] for one in by_patient.json()["found"]] == [CANARY.patient_id]
    assert {one["kind"] for one in lines} == {"patient", "study", "series", "instance"}
    assert (unknown.status_code, elsewhere.status_code) == (404, 404)
    shown = "".join(capfd.readouterr())
    assert "alice" in shown and by_uid.json()["disclosure"] in shown
    assert [value for value in (*CANARY.values, "CANARYREASON", pseudonym) if value in shown] == []
    assert site.rows("SELECT who, kind, found FROM disclosure ORDER BY told") == [
        ("alice", "reidentification", 1), ("alice", "export", 5), ("alice", "reidentification", 1),
        ("alice", "reidentification", 0),
    ]  # fmt: skip
    assert not (site.folder / "projects" / "other.key").exists()


@pytest.mark.parametrize(
    "body",
    [
        {"project": "research", "patient": "P1"},
        {"project": "research", "patient": "P1", "reason": " "},
        {"project": "research", "patient": "P1", "uid": "2.25.1", "reason": "why"},
        {"project": "research", "reason": "why"},
        {"project": "research", "patient": ["P1"], "reason": "why"},
        [],
    ],
)
async def test_nobody_is_led_back_without_saying_whom_and_why(site: DeidSite, body: object) -> None:
    """Nor by asking for two at once."""
    async with answering(site) as http:
        assert (await http.post("/api/deid/reidentify", json=body)).status_code == 422


async def test_a_site_can_name_those_who_may_ask(site: DeidSite) -> None:
    """Others have a token and still get nothing; without a token nobody does."""
    async with answering(site, identity_readers=("alice",)) as http:
        asked = {"project": "research", "reason": "why"}
        bob = {"Authorization": f"Bearer {BOB}"}
        assert (await http.post("/api/deid/export", json=asked)).status_code == 404
        assert (await http.post("/api/deid/export", json=asked, headers=bob)).status_code == 403
        assert (await http.post("/api/deid/export", json=asked, headers={"Authorization": ""})).status_code == 401


async def test_a_merge_that_the_ris_tells_is_honoured_by_what_goes_out_next(site: DeidSite) -> None:
    """What is out is listed, and not changed; a replay of its plan changes nothing either."""
    key = SiteKey.load(site.folder / "site.key")
    kept = [await site.batch_of(make_instances(1, PatientID="KEPT"), "HOSP")]
    gone = [await site.batch_of(make_instances(1, PatientID="GONE"), "HOSP") for _ in range(2)]
    merged = PatientMerged(
        patient_ref="kept", merged_ref="gone",
        patient_token=key.patient_token("HOSP", "KEPT"), merged_token=key.patient_token("HOSP", "GONE"),
    )  # fmt: skip
    async with answering(site) as http:
        for number, batch in enumerate([*kept, gone[0]]):
            await site.say(planned([batch], PLAN, pack_id=f"pack-{number}"), f"plan-{number}")
        await site.until(PackDeidentified, lambda found: len(found) == 2)
        await site.say(merged, "merge")
        await eventually(lambda: site.rows("SELECT * FROM merge"))
        await site.say(planned([gone[1]], PLAN, pack_id="pack-2"), "plan-2")
        told = await site.until(PackDeidentified, lambda found: len(found) == 3)
        await site.replay()
        await eventually(site.idle)
        assert len(await site.said(PackDeidentified)) == 3
        listed = (await http.get("/api/deid/merged")).json()["merged"]
    by_pack = dict(site.rows("SELECT source_pack_id, pseudonym FROM pack_person"))
    assert by_pack["pack-2"] == by_pack["pack-0"] != by_pack["pack-1"]
    assert [(one["pseudonym"], one["now"], one["packs"]) for one in listed] == [
        (by_pack["pack-1"], by_pack["pack-0"], [told[1].pack_id])
    ]
    headers = [await _patient_id(site, one) for one in told]
    assert headers == [by_pack["pack-0"], by_pack["pack-1"], by_pack["pack-0"]]
    assert await site.dead_letters() == 0


async def test_a_merge_is_taken_back_with_a_reason_that_no_log_shows(
    site: DeidSite, capfd: pytest.CaptureFixture[str]
) -> None:
    """Who did is in the log under an id, and why is kept sealed under the same; without a reason nothing happens."""
    key = SiteKey.load(site.folder / "site.key")
    gone = key.patient_token("HOSP", "GONE")
    merged = PatientMerged(
        patient_ref="kept", merged_ref="gone", patient_token=key.patient_token("HOSP", "KEPT"), merged_token=gone
    )
    async with answering(site) as http:
        await site.say(merged, "merge")
        await eventually(lambda: site.rows("SELECT * FROM merge"))
        undo = f"/api/deid/merged/{gone}/undo"
        refused = [(await http.post(undo, json=body)).status_code for body in ({}, {"reason": " "}, {"reason": 1})]
        refused.append((await http.post(undo, json={"reason": "why", "who": "bob"})).status_code)
        refused.append((await http.post(undo)).status_code)
        assert site.rows("SELECT undone FROM merge") == [(None,)]
        done = await http.post(undo, json={"reason": REASON})
        again = await http.post("/api/deid/merged/nobody/undo", json={"reason": REASON})
    assert refused == [422] * 5
    assert (done.status_code, again.status_code) == (200, 404)
    ((ref, person, who, sealed),) = site.rows("SELECT id, person, who, sealed FROM undone_merge")
    assert (ref, person, who) == (done.json()["undone"], gone, "alice")
    told = "".join(capfd.readouterr())
    (line,) = [line for line in told.splitlines() if "merge-undone" in line]
    assert "alice" in line and ref in line
    assert "CANARYREASON" not in told and b"CANARYREASON" not in sealed


async def _patient_id(site: DeidSite, told: PackDeidentified) -> str:
    line = json.loads((await site.content(told.headers)).splitlines()[0])
    header = next(value for value in line.values() if isinstance(value, dict))
    return str(header["00100020"]["Value"][0])


async def test_the_journal_has_everybody_before_the_pack_is_told(site: DeidSite) -> None:
    """A lost database is made again from it, random pseudonyms included."""
    batch = await site.batch_of(study(2, 0), "HOSP")
    async with site.running("deid"):
        await site.say(planned([batch], PLAN), "plan")
        await site.until(PackDeidentified, lambda found: len(found) == 1)
    before = site.rows("SELECT project, person, pseudonym FROM person")
    for path in Path(site.folder).glob("deid.db*"):
        path.unlink()
    async with site.running("deid"):
        assert site.rows("SELECT project, person, pseudonym FROM person") == before != []
        assert len(site.rows("SELECT * FROM identity")) == 5


@asynccontextmanager
async def desk(site: DeidSite, folder: Path) -> AsyncIterator[Callable[..., Awaitable[CompletedProcess[str]]]]:
    """What ``causeway`` says of a site with one study that is out."""
    batch = await site.batch_of(study(2, 0), "HOSP")
    (port,) = free_ports(1)
    data = folder_of(folder / "site", site.server.url, f"http://127.0.0.1:{port}").data

    async def causeway(*words: str) -> CompletedProcess[str]:
        command = [sys.executable, "-m", "cli.main", *words, "--data", str(data)]
        return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)

    async with site.running("deid", http_port=port):
        await site.say(planned([batch], PLAN), "plan")
        await site.until(PackDeidentified, lambda found: len(found) == 1)
        yield causeway


@pytest.mark.timeout(240)
async def test_the_command_line_leads_back_and_exports(site: DeidSite, tmp_path: Path) -> None:
    """The export is a file that only its owner reads, and takes no other's place."""
    why = ("--project", "research", "--reason", "an audit")
    output = tmp_path / "map.ndjson"
    async with desk(site, tmp_path) as causeway:
        exported = await causeway("deid", "map", "export", *why, "-o", str(output))
        again = await causeway("deid", "map", "export", *why, "-o", str(output))
        lines = [json.loads(line) for line in output.read_text().splitlines()]
        pseudonym = next(one["replacement"] for one in lines if one["kind"] == "patient")
        found = await causeway("reidentify", *why, "--patient", pseudonym, "--json")
        unknown = await causeway("reidentify", *why, "--uid", "2.25.1")
    assert (exported.returncode, again.returncode, unknown.returncode) == (0, 1, 1)
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert json.loads(found.stdout)["found"][0]["original"] == CANARY.patient_id


@pytest.mark.timeout(240)
async def test_the_command_line_lists_and_calls_back(site: DeidSite, tmp_path: Path) -> None:
    """A recall of nothing says so; none goes without a reason."""
    async with desk(site, tmp_path) as causeway:
        merged = await causeway("deid", "merged")
        recall = await causeway("deid", "recall", "--profile-version", "0", "--reason", "too weak")
        listed = await causeway("deid", "recall", "list", "--json")
        silent = await causeway("deid", "recall", "--profile-version", "0")
    assert (merged.returncode, recall.returncode, silent.returncode) == (0, 0, 2)
    assert "of 0 studies" in recall.stdout and "nothing is out under profile basic, version 0" in recall.stderr
    assert json.loads(listed.stdout)["recalls"][0]["version"] == "0"
