"""A study travels from a modality to proven copies; what is killed, cut or flipped on the way changes nothing."""

import hashlib
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pydicom.data
import pytest
from pydicom import Dataset

from cli import hl7
from cli.describe import built, edges
from cli.dicom_files import Outgoing, examine
from cli.embedded.ports import CLOUDS, SERVICES
from tests.e2e.conftest import RunningSite
from tests.support.hl7 import orm
from tests.support.instances import CANARY, as_file, make_instances, uid

pytestmark = [pytest.mark.xdist_group("site"), pytest.mark.timeout(240)]

TARGETS = ("onsite", *CLOUDS)
DIGEST = Callable[[bytes], str]


def files(folder: Path, images: list[Dataset]) -> list[Path]:
    """The images as Part 10 files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:05d}.dcm" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        path.write_bytes(as_file(image))
    return paths


def sent_digest(outgoing: Outgoing) -> str:
    """SHA-256 of the data set as it lies in the file that was sent."""
    with outgoing.path.open("rb") as file:
        file.seek(outgoing.offset)
        return hashlib.sha256(file.read(outgoing.length)).hexdigest()


def shipped() -> list[Path]:
    """The real DICOM files that come with pydicom and can be sent."""
    folder = Path(pydicom.data.__file__).parent / "test_files"
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [path for path in found if isinstance(examine(path), Outgoing)]


def proven(site: RunningSite, sop: str, target: str, form: str = "identified") -> list[dict[str, Any]]:
    """The proven copies of an instance in a target."""
    copies = [copy for version in site.where(sop)["versions"] for copy in version["copies"]]
    return [copy for copy in copies if (copy["target"], copy["form"], copy["state"]) == (target, form, "proven")]


def test_every_version_of_every_real_file_comes_back_from_each_target_as_it_was_sent(
    running: RunningSite, digest_of: DIGEST
) -> None:
    report = running.send(shipped())
    running.until_archived()
    for outgoing in report.sent:
        digest = sent_digest(outgoing)
        versions = {version["dataset_sha256"] for version in running.where(outgoing.sop_instance)["versions"]}
        assert digest in versions, outgoing.path.name
        for target in TARGETS:
            found = running.fetch(outgoing.sop_instance, target, digest)
            assert digest_of(found) == digest, (outgoing.path.name, target)
    assert running.dead_letters() == 0


def test_an_order_and_its_images_leave_no_identifier_anywhere_but_where_it_belongs(
    running: RunningSite, tmp_path: Path
) -> None:
    images = make_instances(3, canary=CANARY)
    name = CANARY.name.replace("&", "")
    pid = f"PID|1||{CANARY.patient_id}^^^HOSP^MR||{name}||{CANARY.birth_date}|F"
    message = tmp_path / "order.hl7"
    message.write_bytes(orm(obr18=CANARY.accession, pid=pid, tail=f"ZDS|{images[0].StudyInstanceUID}"))
    host, _, port = running.site.endpoints()["mllp"].rpartition(":")
    assert hl7.send_files([message], host, int(port)) == ["AA"]
    running.send(files(tmp_path / "ct", images))
    running.until_archived(images[0].StudyInstanceUID)
    places = [running.site.logs, running.site.traces, running.site.data / "nats"]
    seen = {str(path): path.read_bytes() for place in places for path in place.rglob("*") if path.is_file()}
    seen |= {f"keys of {cloud}": "\n".join(running.objects(cloud)).encode() for cloud in CLOUDS}
    seen |= {f"metrics of {name}": running.metrics(name) for name in SERVICES}
    leaks = [(where, value) for where, held in seen.items() for value in CANARY.values if value.encode() in held]
    assert leaks == []


def test_a_batch_has_one_trace_through_every_service_of_the_flow(running: RunningSite, tmp_path: Path) -> None:
    images = make_instances(4)
    running.send(files(tmp_path, images), associations=1)
    running.until_archived(images[0].StudyInstanceUID)
    study = next(s for s in running.api.get("/api/studies")["studies"] if s["study_uid"] == images[0].StudyInstanceUID)
    found = running.until(lambda: _edges_of(running, study["study_ref"]), what="spans")
    with built() as services:
        planned = {edge for edge in edges(services) if edge[1].startswith("imaging.")}
    # What happens only when something is wrong or somebody asks has tests of its own, and no PACS is behind this site.
    # What is said of a study is said on event times, after its batches: a trace of its own.
    rare = re.compile(
        r"overdue|conflicted|quarantined|damaged|failed|expired|removed|recalled|destroyed|absent"
        r"|commitment|forward|step|study"
    )
    planned_here = {edge for edge in planned if edge[2] != "forwarding"}
    assert {edge for edge in planned_here if not rare.search(edge[1])} <= found
    assert found <= planned


def _edges_of(running: RunningSite, study_ref: str) -> set[tuple[str, str, str]]:
    """(sender, subject, receiver) of the one trace that the study has, once its last event was processed."""
    spans = running.spans()
    traces = {span["trace_id"] for span in spans if span["attributes"].get("study_ref") == study_ref}
    batch = [t for t in traces if any(s["trace_id"] == t and s["name"].startswith("receive") for s in spans)]
    assert len(batch) <= 1, "one batch, one trace"
    mine = {span["span_id"]: span for span in spans if span["trace_id"] in batch}
    found = set()
    for span in mine.values():
        parent = mine.get(span["parent_id"])
        if parent and span["name"].startswith("process ") and parent["name"].startswith("send "):
            found.add((parent["service"], parent["name"].removeprefix("send "), span["service"]))
    last = ("tier_routing", "imaging.batch.archived.v1")
    heard = {receiver for sender, subject, receiver in found if (sender, subject) == last}
    return found if {"dicom_ingest", "deid", "encryption", "catalog"} <= heard else set()


def test_many_associations_of_one_image_each_end_in_a_handful_of_objects(running: RunningSite, tmp_path: Path) -> None:
    before = {cloud: running.objects(cloud) for cloud in CLOUDS}
    images = make_instances(500)
    for path in files(tmp_path, images):
        running.send([path], associations=1)
    running.until_archived(images[0].StudyInstanceUID)
    for cloud in CLOUDS:
        assert len(running.objects(cloud) - before[cloud]) <= 10


def test_instances_without_a_study_share_objects_by_source_and_day(running: RunningSite, tmp_path: Path) -> None:
    before = running.objects("cloud-a")
    images = make_instances(40)
    for image in images:
        del image.StudyInstanceUID
    for path in files(tmp_path, images):
        running.send([path], associations=1)
    running.until_archived()
    assert all(proven(running, image.SOPInstanceUID, "cloud-a") for image in images)
    assert len(running.objects("cloud-a") - before) <= 10


def test_a_dead_cloud_holds_up_nothing_else_and_gets_everything_when_it_is_back(
    running: RunningSite, tmp_path: Path
) -> None:
    running.stop("cloud-b")
    images = make_instances(5)
    running.send(files(tmp_path, images))
    sop, study = images[0].SOPInstanceUID, images[0].StudyInstanceUID
    running.until(lambda: proven(running, sop, "onsite") and proven(running, sop, "cloud-a"), what="other copies")
    running.until(lambda: all(b["secured"] for p in _packs(running, study) for b in p["batches"]), what="secured")
    assert not proven(running, sop, "cloud-b")
    running.start("cloud-b")
    running.until_archived(study)
    assert proven(running, sop, "cloud-b") and proven(running, sop, "cloud-b", "deidentified")
    assert running.dead_letters() == 0


def _packs(running: RunningSite, study: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = running.api.get(f"/api/ledger/{study}")["packs"]
    return found


def test_a_copy_that_is_flipped_twice_is_found_written_again_and_proven_each_time(
    running: RunningSite, tmp_path: Path
) -> None:
    images = make_instances(3)
    running.send(files(tmp_path, images))
    sop = images[0].SOPInstanceUID
    running.until_archived(images[0].StudyInstanceUID)
    for generation in (1, 2):
        (copy,) = proven(running, sop, "cloud-a")
        assert copy["generation"] == generation
        running.flip("cloud-a", copy["key"], copy["offset"] + 7)
        if generation == 1:
            running.api.post("/api/verify", {"sealed_id": copy["sealed_id"]})
        else:
            running.replay("verification")
        running.until(
            lambda wanted=generation + 1: [c for c in proven(running, sop, "cloud-a") if c["generation"] == wanted],
            what=f"generation {generation + 1}",
        )
        running.until(lambda key=copy["key"]: key not in running.objects("cloud-a"), what="the damaged copy removed")


def test_every_service_may_be_killed_in_the_middle_of_one_study(running: RunningSite, tmp_path: Path) -> None:
    images = make_instances(400, rows=64)
    paths = files(tmp_path, images)
    before = {service: running.process(service)["restarts"] for service in SERVICES}
    with ThreadPoolExecutor(1) as modality:
        for number, service in enumerate(SERVICES):
            acknowledged = modality.submit(running.insist, paths[50 * number : 50 * (number + 1)])
            running.kill_at_work(service)
            acknowledged.result()
    for service in SERVICES:
        running.until_restarted(service, before[service])
    study = images[0].StudyInstanceUID
    running.until_archived(study, 180)
    _lies_once_in_each_target(running, images)


def test_a_study_that_is_sent_again_and_has_grown_lies_once_in_each_target(
    running: RunningSite, tmp_path: Path, digest_of: DIGEST
) -> None:
    images = make_instances(8)
    paths, study = files(tmp_path, images), images[0].StudyInstanceUID
    for sent in (paths[:3], paths[1:5], paths, paths):
        running.send(sent, associations=1)
        running.until_archived(study)
    _lies_once_in_each_target(running, images)
    assert [pack["instances"] for pack in running.api.get(f"/api/ledger/{study}")["packs"]] == [3, 2, 3]
    for outgoing in map(examine, paths):
        assert isinstance(outgoing, Outgoing)
        digest = sent_digest(outgoing)
        for target in TARGETS:
            assert digest_of(running.fetch(outgoing.sop_instance, target, digest)) == digest


def _lies_once_in_each_target(running: RunningSite, images: list[Dataset]) -> None:
    """Every instance has the copies that policy asks for, proven, and no pack holds one that another holds."""
    study = images[0].StudyInstanceUID
    found = running.api.get(f"/api/studies/{study}/where")
    assert {document["sop_instance_uid"] for document in found} == {image.SOPInstanceUID for image in images}
    wanted = sorted([*((target, "identified") for target in TARGETS), ("cloud-b", "deidentified")])
    for document in found:
        (version,) = document["versions"]
        assert sorted((c["target"], c["form"]) for c in version["copies"]) == wanted
        assert {c["state"] for c in version["copies"]} == {"proven"}
    assert sum(pack["instances"] for pack in running.api.get(f"/api/ledger/{study}")["packs"]) == len(images)
    assert running.dead_letters() == 0


def test_a_replay_of_deid_after_landing_was_released_changes_nothing_that_a_reader_sees(
    running: RunningSite, tmp_path: Path
) -> None:
    images = make_instances(3)
    running.send(files(tmp_path, images))
    running.until_archived()
    landing = running.site.stores / "landing"
    running.until(lambda: not [p for p in landing.rglob("*") if p.parent.name == "instances"], what="landing released")
    before = {cloud: running.objects(cloud) for cloud in CLOUDS}
    ids = running.event_ids("imaging.pack.deidentified.v1")
    running.replay("deid")
    running.until(lambda: running.lag("deid") == 0, what="deid replayed")
    running.until_archived()
    assert running.event_ids("imaging.pack.deidentified.v1") == ids
    assert {cloud: running.objects(cloud) for cloud in CLOUDS} == before
    assert running.dead_letters() == 0


def test_a_target_that_refuses_for_ever_is_overdue_and_harms_no_other(running: RunningSite, tmp_path: Path) -> None:
    keys = running.site.secrets / "cloud-b.json"
    kept = keys.read_bytes()
    images = make_instances(2)
    sop = images[0].SOPInstanceUID
    try:
        keys.write_text('{"access_key": "nobody", "secret_key": "nothing"}')
        os.chmod(keys, 0o600)
        running.restart("replication")
        running.send(files(tmp_path, images))
        running.until(lambda: proven(running, sop, "cloud-a"), what="the other cloud")
        waits = running.until(lambda: running.api.get("/api/overdue"), 150, what="overdue")
        assert any(one.get("target") == "cloud-b" for late in waits for one in late["waiting_for"])
    finally:
        keys.write_bytes(kept)
        running.restart("replication")
    running.until_archived(images[0].StudyInstanceUID, 150)


def test_rubbish_gets_a_clear_error_and_stops_nothing(running: RunningSite, tmp_path: Path) -> None:
    from cli import send

    whole = files(tmp_path, make_instances(2))
    (tmp_path / "cut.dcm").write_bytes(whole[0].read_bytes()[:-100])
    (tmp_path / "text.dcm").write_text("no DICOM at all")
    host, _, port = running.site.endpoints()["dicom"].rpartition(":")
    report = send.send([tmp_path], host=host, port=int(port), associations=1)
    assert len(report.sent) == 2 and not report.is_success
    told = {problem.path.name: problem.why for problem in report.failed}
    assert "not DICOM" in told["text.dcm"] and "cut short" in told["cut.dcm"]


def test_a_subscriber_hears_of_a_completed_study(running: RunningSite, tmp_path: Path) -> None:
    images = make_instances(2, study_uid=uid())
    running.send(files(tmp_path, images))
    running.until_archived(images[0].StudyInstanceUID)
    events = running.events("imaging.study.completed.v1")
    (event,) = [one for one in events if one["data"]["study_uid"] == images[0].StudyInstanceUID]
    assert event["data"]["instances"] == 2 and event["type"] == "imaging.study.completed.v1"
