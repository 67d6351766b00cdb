"""An order over MLLP and its images over DICOM meet as an ImagingStudy; what does not meet waits for a person."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import Dataset, dcmread
from typer.testing import CliRunner

from cli import hl7
from cli.main import app
from tests.e2e.conftest import RunningSite
from tests.e2e.test_main_job import files
from tests.support.fhir import assert_valid
from tests.support.hl7 import orm
from tests.support.instances import make_instances

pytestmark = [pytest.mark.xdist_group("site"), pytest.mark.timeout(240)]


def send_order(site: RunningSite, path: Path, message: bytes) -> None:
    """Send one message as a RIS does."""
    path.write_bytes(message)
    host, _, port = site.site.endpoints()["mllp"].rpartition(":")
    assert hl7.send_files([path], host, int(port)) == ["AA"]


def imaging_study(site: RunningSite, uid: str, status: str = "available") -> dict[str, Any]:
    """The study's ImagingStudy once it has this status."""

    def found() -> Any:
        bundle = site.api.get("/fhir/ImagingStudy", identifier=f"urn:dicom:uid|urn:oid:{uid}")
        return next((one["resource"] for one in bundle.get("entry", ()) if one["resource"]["status"] == status), None)

    resource: dict[str, Any] = site.until(found, what=f"ImagingStudy {status}")
    assert_valid(resource)
    return resource


def read(site: RunningSite, reference: str) -> dict[str, Any]:
    """What a reference leads to."""
    resource: dict[str, Any] = site.api.get(f"/fhir/{reference}")
    assert_valid(resource)
    return resource


def real_ct(corpus: Path) -> tuple[list[Path], Dataset]:
    """Slices of a real CT study, and the header of one."""
    folder = corpus / "dicom" / "dcm_qa_ct"
    paths = sorted(path for path in folder.rglob("*") if path.is_file())[:24]
    return paths, dcmread(paths[0], stop_before_pixels=True)


def test_a_real_ct_is_an_imaging_study_based_on_its_order(running: RunningSite, corpus: Path, tmp_path: Path) -> None:
    paths, header = real_ct(corpus)
    uid = str(header.StudyInstanceUID)
    order = orm(control_id="E2E1", pid=f"PID|1||{header.PatientID}||Phantom^Head", tail=f"ZDS|{uid}", obr18="E2EACC1")
    send_order(running, tmp_path / "order.hl7", order)
    running.send(paths)
    study = imaging_study(running, uid)
    assert (study["numberOfSeries"], study["numberOfInstances"]) == (1, 24)
    (series,) = study["series"]
    assert series["uid"] == header.SeriesInstanceUID and len(series["instance"]) == 24
    assert (series["modality"]["code"], series["description"]) == ("CT", header.SeriesDescription)
    assert study["started"].startswith("2015-02-06T09:28:15")

    request = read(running, study["basedOn"][0]["reference"])
    assert {"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"} in request["identifier"]
    assert study["procedureCode"] == [request["code"]]
    assert [one["value"] for one in study["identifier"]] == [f"urn:oid:{uid}", "E2EACC1"]
    patient = read(running, study["subject"]["reference"])
    assert request["subject"]["reference"] == study["subject"]["reference"]
    assert patient["identifier"][0]["value"] == header.PatientID
    endpoint = read(running, study["endpoint"][0]["reference"])
    listed = httpx.get(f"{endpoint['address']}/studies/{uid}/series", timeout=10).json()
    assert [one["0020000E"]["Value"] for one in listed] == [[series["uid"]]]

    (told,) = [one["data"] for one in running.events("clinical.study.matched.v1") if one["data"]["study_uid"] == uid]
    assert (told["order_refs"], told["study_ref"]) == ([request["id"]], study["id"])


def test_a_study_without_its_order_waits_for_a_person_who_decides(running: RunningSite, tmp_path: Path) -> None:
    images = make_instances(2, PatientID="E2EP2", AccessionNumber="")
    uid = str(images[0].StudyInstanceUID)
    running.send(files(tmp_path / "ct", images))
    study = imaging_study(running, uid)
    order = orm(control_id="E2E2", pid="PID|1||E2EP2||Roe^Jane", tail="", obr18="", orc2="E2PL", obr2="E2PL")
    send_order(running, tmp_path / "order.hl7", order.replace(b"FI1^RIS", b"E2FI^RIS"))

    def matches(*words: str) -> Any:
        answer = CliRunner().invoke(app, ["matches", *words, "--data", str(running.site.data), "--json"])
        assert answer.exit_code == 0, answer.output
        return json.loads(answer.stdout)

    waiting = {one["id"]: one for one in matches("list")["matches"]}
    assert waiting[study["id"]]["reasons"] == ["order-missing"]
    (candidate,) = matches("show", study["id"])["candidates"]
    for words in (["list"], ["show", study["id"]]):
        plain = CliRunner().invoke(app, ["matches", *words, "--data", str(running.site.data)])
        assert (plain.exit_code, "order-missing" in plain.stdout) == (0, True), plain.output
    assert candidate["for"] == ["modality", "patient"]
    assert "basedOn" not in imaging_study(running, uid)
    matches("decide", study["id"], "--order", candidate["order"])
    assert imaging_study(running, uid)["basedOn"][0]["reference"] == f"ServiceRequest/{candidate['order']}"
    running.until_archived(uid)
    running.until(lambda: not running.lag("hl7_fhir"), what="heard")
    before = imaging_study(running, uid)
    running.replay("hl7_fhir")
    running.until(lambda: not running.lag("hl7_fhir"), what="replayed")
    assert imaging_study(running, uid) == before
    assert study["id"] not in {one["id"] for one in matches("list")["matches"]}
    assert running.dead_letters() == 0
