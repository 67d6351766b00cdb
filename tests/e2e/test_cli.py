"""The ``causeway`` command as a shell sees it: one JSON document on standard output, errors on standard error."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.embedded.ports import SERVICES
from cli.main import app
from cli.site import Site
from tests.e2e.conftest import RunningSite, own_base
from tests.e2e.test_main_job import files
from tests.support.hl7 import orm
from tests.support.instances import make_instances

pytestmark = [pytest.mark.xdist_group("cli"), pytest.mark.timeout(240)]

COMMAND = (sys.executable, "-m", "cli.main")
UNKNOWN = "1.2.3.4.5"
Finished = subprocess.CompletedProcess[str]


def run(*words: str | Path, data: Path) -> Finished:
    """One command on the site in ``data``."""
    told = [str(word) for word in (*COMMAND, *words, "--data", data)]
    return subprocess.run(told, capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1"})


def document(told: Finished) -> Any:
    """What it printed, all of it one JSON document."""
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


@dataclass(frozen=True)
class Study:
    """A study that was sent by the command, and archived."""

    uid: str
    sop: str
    sent: Any
    waited: Any


@pytest.fixture(scope="module")
def study(running: RunningSite, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Two images, once they are archived."""
    folder, images = tmp_path_factory.mktemp("study"), make_instances(2)
    files(folder, images)
    sent = document(run("send", folder, "--associations", "2", "--json", data=running.site.data))
    uid = images[0].StudyInstanceUID
    waited = run("wait", "--study", uid, "--state", "archived", "--timeout", "90", "--json", data=running.site.data)
    return Study(uid, images[0].SOPInstanceUID, sent, document(waited))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where commands read and write."""
    return tmp_path_factory.mktemp("told")


@pytest.fixture(scope="module")
def told(running: RunningSite, study: Study, folder: Path) -> dict[str, Finished]:
    """What every command prints that changes nothing, asked for side by side: each takes a second to start."""
    (folder / "order.hl7").write_bytes(orm())
    commands: dict[str, tuple[str | Path, ...]] = {
        "status": ("status", "--json"),
        "where": ("where", study.sop, "--json"),
        "fetch": ("fetch", study.sop, "--from", "cloud-a", "-o", folder / "fetched.dcm"),
        "trace": ("trace", "--study", study.uid, "--json"),
        "wait": ("wait", "--all", "--state", "completed", "--timeout", "60", "--json"),
        "overdue": ("overdue", "--json"),
        "verify": ("verify", "--study", study.uid, "--json"),
        "replan": ("replan", "--study", study.uid, "--dry-run", "--json"),
        "replay": ("replay", "deid", "--from", "1", "--dry-run", "--json"),
        "provision": ("provision", "--json"),
        "deadletters": ("deadletters", "list", "--json"),
        "hl7": ("hl7", "send", folder / "order.hl7", "--json"),
        "up": ("up", "--json"),
        "start": ("start", "deid", "--json"),
        "no instance": ("where", UNKNOWN, "--json"),
        "no service": ("replay", "pacs", "--from", "1", "--json"),
    }
    with ThreadPoolExecutor(3) as shell:
        started = {name: shell.submit(run, *words, data=running.site.data) for name, words in commands.items()}
        started["no site"] = shell.submit(run, "status", "--json", data=folder)
        return {name: finished.result() for name, finished in started.items()}


def test_sending_and_waiting_are_told(study: Study) -> None:
    assert (study.sent["sent"], study.sent["failed"]) == (2, [])
    assert study.sent["megabytes_per_second"] > 0 and study.sent["instances_per_second"] > 0
    assert study.waited == {"state": "archived", "reached": True, "waiting_for": []}


def test_where_has_the_keys_that_were_promised(told: dict[str, Finished]) -> None:
    (version,) = document(told["where"])["versions"]
    assert {"dataset_sha256", "transfer_syntax", "copies"} <= version.keys()
    assert len(version["dataset_sha256"]) == 64
    promised = {"target", "form", "generation", "key", "offset", "length", "written", "proven", "level"}
    assert all(promised <= copy.keys() for copy in version["copies"])
    places = {(copy["target"], copy["form"]) for copy in version["copies"]}
    assert {(name, "identified") for name in ("onsite", "cloud-a", "cloud-b")} <= places
    assert all(copy["generation"] == 1 and copy["length"] > 0 and copy["proven"] for copy in version["copies"])


def test_a_fetched_file_is_the_one_that_was_sent(
    told: dict[str, Finished], folder: Path, digest_of: Callable[[bytes], str]
) -> None:
    assert (told["fetch"].returncode, told["fetch"].stdout, told["fetch"].stderr) == (0, "", "")
    (version,) = document(told["where"])["versions"]
    assert digest_of((folder / "fetched.dcm").read_bytes()) == version["dataset_sha256"]
    assert [path.name for path in folder.glob("fetched*")] == ["fetched.dcm"]


def test_the_trace_is_whole(told: dict[str, Finished], study: Study) -> None:
    traces = document(told["trace"])
    services = {span["service"] for trace in traces for span in trace["spans"]}
    assert {"dicom_ingest", "tier_routing", "encryption", "replication", "verification", "catalog"} <= services


def test_status_has_every_section(told: dict[str, Finished]) -> None:
    status = document(told["status"])
    assert {"dicom", "mllp", "http"} <= status["endpoints"].keys()
    assert set(SERVICES) <= status["processes"].keys()
    assert status["studies"]["studies"] and status["copies"]["copies"]
    assert all({"consumer", "pending", "unsettled"} <= lag.keys() for lag in status["consumers"])
    assert isinstance(status["dead_letters"], int)


def test_status_is_shown_to_people_too(running: RunningSite, study: Study) -> None:
    answer = CliRunner().invoke(app, ["status", "--data", str(running.site.data)])
    assert (answer.exit_code, answer.stderr) == (0, "")
    for title in ("Endpoints", "Processes", "Studies", "Copies", "Consumers with work", "dead letters: "):
        assert title in answer.stdout


def test_each_of_the_others_prints_one_document(told: dict[str, Finished], running: RunningSite) -> None:
    assert document(told["wait"])["reached"]
    assert isinstance(document(told["overdue"]), list)
    assert isinstance(document(told["deadletters"]), list)
    (version,) = document(told["where"])["versions"]
    assert document(told["verify"])["copies"] == len(version["copies"])
    assert isinstance(document(told["replan"]), dict)
    assert {one["consumer"].split("_")[0] for one in document(told["replay"])} == {"deid"}
    assert {one["how"] for one in document(told["provision"])} <= {"kept", "stray"}
    assert [one["code"] for one in document(told["hl7"])["messages"]] == ["AA"]
    assert document(told["up"])["endpoints"] == running.site.endpoints()
    assert document(told["start"])["deid"]["state"] == "running"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("no instance", "no such instance is known"),
        ("no service", "pacs: this service consumes nothing"),
        ("no site", "no site runs on"),
    ],
)
def test_what_cannot_be_done_is_one_line_on_standard_error(told: dict[str, Finished], name: str, why: str) -> None:
    assert (told[name].returncode, told[name].stdout) == (1, "")
    assert told[name].stderr.startswith("error: ") and why in told[name].stderr
    assert told[name].stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("fetch", UNKNOWN, "--from", "cloud-a"), "no such instance is known"),
        (("fetch", "SOP", "--from", "cloud-z"), "no identified copy lies in cloud-z"),
        (("fetch", "SOP", "--from", "cloud-a", "--digest", "0" * 64), "no version has this digest"),
        (("trace", "--study", UNKNOWN, "--json"), "the study is not known"),
        (("verify", "--study", UNKNOWN, "--json"), "the study is not known"),
        (("stop", "pacs", "--json"), "no process is named pacs"),
        (("deadletters", "show", "4711", "--json"), "there is no dead letter 4711"),
        (("deadletters", "retry", "4711", "--json"), "there is no dead letter 4711"),
        (("wait", "--study", UNKNOWN, "--timeout", "0.5"), "the study is not known yet"),
    ],
)
def test_what_is_not_there_is_an_error(running: RunningSite, study: Study, words: tuple[str, ...], why: str) -> None:
    """The same in this process, which is started already."""
    named = [study.sop if word == "SOP" else word for word in words]
    answer = CliRunner().invoke(app, [*named, "--data", str(running.site.data)])
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert answer.stderr.startswith("error: ") and why in answer.stderr


def test_a_site_in_the_foreground_ends_with_sigterm_and_prints_one_document(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    words = [*COMMAND, "up", "--json", "--data", str(site.data), "--port-base", str(own_base())]
    up = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert up.stdout is not None
        printed = "".join(iter(up.stdout.readline, "}\n")) + "}"
        assert json.loads(printed)["endpoints"] == site.endpoints()
        up.send_signal(signal.SIGTERM)
        more, said = up.communicate(timeout=60)
    finally:
        up.kill()
    assert (up.returncode, more) == (0, "")
    assert said in ("", "Ctrl-C stops it.\n")
    assert not site.is_up()
    assert document(run("down", "--json", data=site.data)) == {"data": str(site.data), "stopped": False}
