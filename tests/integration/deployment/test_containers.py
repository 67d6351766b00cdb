"""The site that docker-compose.yml describes, run for real but for Docker, does the whole job under its own rights."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage  # type: ignore[attr-defined]
from typer.testing import CliRunner

from cli.embedded.ports import SERVICES
from cli.main import app
from cli.setup.vault import container
from tests.integration.deployment.containers import Containers
from tests.support.certificates import Authority
from tests.support.instances import as_file, make_instances
from tests.support.postgres import Postgres

STUDY = str(generate_uid())

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("containers")]


@pytest.fixture(scope="module")
def modalities(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signs the hospital's certificates for DICOM."""
    return Authority(tmp_path_factory.mktemp("modalities"))


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: Postgres, modalities: Authority
) -> Iterator[Containers]:
    """A running site, whose operator has turned DICOM over TLS on."""
    settings = {"CAUSEWAY_POLICY_FILE": "cli/embedded/policy.yaml", "CAUSEWAY_STUDY_QUIET": "1"}
    settings["CAUSEWAY_DICOM_TLS_PORT"] = "2762"
    ours = modalities.issue("localhost")
    given = {"dicom-certificate": ours.certificate.read_text() + ours.key.read_text()}
    given["dicom-clients"] = modalities.path.read_text()
    running = Containers(tmp_path_factory.mktemp("containers"), postgres_server, settings, given)
    try:
        running.start()
        running.start_router()
        yield running
    finally:
        running.end()


def wait_for(site: Containers, path: str, done: Any, seconds: float = 90) -> Any:
    """The first answer of ``path`` that ``done`` accepts."""
    deadline = time.monotonic() + seconds
    while True:
        answer = site.ask_as_operator(path)
        document = answer.json() if answer.status_code == 200 else None
        if document is not None and done(document):
            return document
        assert time.monotonic() < deadline, (answer.status_code, document)
        time.sleep(0.5)


def archived(document: dict[str, Any]) -> bool:
    """Whether every study is."""
    return bool(document["studies"]) and all(study["state"] == "archived" for study in document["studies"])


@pytest.fixture(scope="module")
def sent(site: Containers) -> list[Dataset]:
    """The instances of an archived study."""
    instances = make_instances(5, study_uid=STUDY, seed=1)
    sender = AE(ae_title="CT")
    sender.add_requested_context(CTImageStorage)
    association = sender.associate("127.0.0.1", site.ports["dicom"])
    assert association.is_established
    assert {association.send_c_store(instance).Status for instance in instances} == {0}
    association.release()
    wait_for(site, "/api/studies", archived)
    return instances


def test_a_modality_with_a_certificate_of_the_hospital_sends_over_tls(
    site: Containers, sent: list[Dataset], modalities: Authority, tmp_path: Path
) -> None:
    (image,) = make_instances(1)
    (tmp_path / "image.dcm").write_bytes(as_file(image))
    shown = modalities.issue("ct1.hospital.example")
    proof = ("--ca", modalities.path, "--cert", shown.certificate, "--key", shown.key)
    words = ("send", tmp_path / "image.dcm", "--tls", "--to", f"localhost:{site.ports['dicom-tls']}", *proof, "--json")
    told = CliRunner().invoke(app, [str(word) for word in words])
    assert told.exit_code == 0, told.output
    wait_for(site, "/api/studies", lambda found: archived(found) and len(found["studies"]) == 2)


def test_a_study_goes_from_c_store_to_proven_copies_in_both_clouds(site: Containers, sent: list[Dataset]) -> None:
    """Every service with its own login on the bus and in the database, its own secrets and no more."""
    where = wait_for(site, f"/api/where/{sent[0].SOPInstanceUID}", bool)
    (version,) = where["versions"]
    proven = {(copy["target"], copy["form"]) for copy in version["copies"] if copy["proven"]}
    assert proven == {
        ("onsite", "identified"),
        ("cloud-a", "identified"),
        ("cloud-b", "identified"),
        ("cloud-b", "deidentified"),
    }


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_tells_strangers_whether_it_lives_and_nothing_else(service: str, site: Containers) -> None:
    name = container(service)
    assert site.ask(name, "/livez").status_code == 200
    assert site.ask(name, "/metrics").status_code == 401
    assert site.ask(name, "/metrics", token="a guess that is long enough").status_code == 401
    assert site.ask(name, "/metrics", token=site.token()).status_code == 200


def test_the_router_passes_tokens_on_and_answers_nobody_by_itself(site: Containers) -> None:
    if not site.has_router:
        pytest.skip("no haproxy here")
    assert site.ask("router", "/dicom-web/studies").status_code == 401
    assert site.ask("router", "/dicom-web/studies", token=site.token()).status_code in (200, 204)
    assert site.ask("router", "/fhir/metadata", token=site.token()).status_code == 200
    assert site.ask("router", "/metrics", token=site.token()).status_code == 404


def test_the_stand_in_clouds_sync_objects_and_keep_their_names_in_sqlite(site: Containers) -> None:
    (rule,) = json.loads(site.rules)["locations"]
    assert (rule["locationPrefix"], rule["fsync"]) == ("/buckets/", True)
    assert (site.folder / "cloud-a" / "data" / "filer.db").exists()


def test_provisioning_again_changes_nothing(site: Containers) -> None:
    site.run("provision")
    site.run("setup", "--database", f"127.0.0.1:{site.database_port}")
    assert site.ask("catalog", "/readyz").status_code == 200


@pytest.mark.usefixtures("sent")
def test_the_operators_command_works_on_it(site: Containers, tmp_path: Path) -> None:
    if not site.has_router:
        pytest.skip("no haproxy here")
    home = tmp_path / "site"
    (home / "run").mkdir(parents=True)
    (home / "config").mkdir()
    (home / "traces").symlink_to(site.folder / "volumes" / "traces")
    for path in (site.secrets / "operator").iterdir():
        (home / "run" / path.name).write_bytes(path.read_bytes())
    state = json.loads((home / "run" / "site.json").read_text())
    state["endpoints"]["http"] = f"https://localhost:{site.ports['router']}"
    state["endpoints"]["nats"] = f"nats://127.0.0.1:{site.ports['nats']}"
    (home / "run" / "site.json").write_text(json.dumps(state))
    (home / "config" / "targets.yaml").write_text((site.folder / "replication-targets.yaml").read_text())

    def causeway(*words: str) -> Any:
        told = subprocess.run(
            [sys.executable, "-m", "cli.main", *words, "--data", str(home), "--json"],
            env={**os.environ, "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert told.returncode == 0, told.stderr
        return json.loads(told.stdout)

    status = causeway("status")
    assert status["dead_letters"] == 0
    assert status["studies"]["studies"]
    seen = {span["service"] for trace in causeway("trace", "--study", STUDY) for span in trace["spans"]}
    assert seen >= {"dicom_ingest", "tier_routing", "encryption", "replication", "verification", "catalog"}
    assert causeway("overdue") == []
    assert all(one["messages"] >= 0 for one in causeway("replay", "deid", "--from", "1", "--dry-run"))
