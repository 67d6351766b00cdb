"""A modality reports what it does: its study is complete at once, and the RIS hears of the step and of the images."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml
from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    InstanceAvailabilityNotification,
    ModalityPerformedProcedureStep,
)

from cli import lifecycle
from cli.site import Site
from tests.e2e.conftest import RunningSite, own_base
from tests.integration.dicom_ingest.peers import with_verdict
from tests.support.instances import make_instances
from tests.support.ports import free_ports

pytestmark = [pytest.mark.xdist_group("steps"), pytest.mark.timeout(300), pytest.mark.slow]


@dataclass
class Ris:
    """A RIS: its port, and what it was told."""

    port: int = field(default_factory=lambda: free_ports(1)[0])
    heard: list[tuple[str, Dataset]] = field(default_factory=list)
    #: What it was told of steps, by their UIDs.
    steps: list[tuple[str, str]] = field(default_factory=list)

    def start(self) -> None:
        """Listen."""
        entity = AE("RIS")
        for service in (ModalityPerformedProcedureStep, InstanceAvailabilityNotification):
            entity.add_supported_context(service)
        handlers = [(evt.EVT_N_CREATE, self._created), (evt.EVT_N_SET, self._changed)]
        self._server = entity.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)

    def stop(self) -> None:
        """Be away."""
        self._server.shutdown()

    def _created(self, event: evt.Event) -> tuple[int, None]:
        self.heard.append(("create", event.attribute_list))
        self.steps.append(("create", str(event.request.AffectedSOPInstanceUID)))
        return 0x0000, None

    def _changed(self, event: evt.Event) -> tuple[int, None]:
        self.heard.append(("set", event.modification_list))
        self.steps.append(("set", str(event.request.RequestedSOPInstanceUID)))
        return 0x0000, None


@pytest.fixture
def ris() -> Iterator[Ris]:
    """It is there."""
    found = Ris()
    found.start()
    yield found
    found.stop()


@pytest.fixture
def running(
    ris: Ris, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunningSite]:
    """A site between the modality and the RIS; of this modality nobody would guess that a study is complete."""
    monkeypatch.setenv("CAUSEWAY_MPPS", "relay")
    monkeypatch.setenv("CAUSEWAY_STUDY_QUIET_BY_SOURCE", '{"CT1": 86400}')
    site, base = Site(tmp_path_factory.mktemp("steps")), own_base()
    site.config.mkdir(parents=True)
    address = {"host": "127.0.0.1", "port": ris.port, "called_ae": "RIS"}
    named = {"ris": {"kind": "mpps", **address}, "images": {"kind": "ian", "retrieve_ae": "PACS", **address}}
    site.destinations.write_text(yaml.safe_dump({"destinations": named}))
    lifecycle.start(site, base)
    yield RunningSite(site, base)
    lifecycle.end(site)


def step(status: str, **attributes: Any) -> Dataset:
    """A report on a step."""
    report = Dataset()
    report.PerformedProcedureStepStatus = status
    for name, value in attributes.items():
        setattr(report, name, value)
    return report


def series(images: list[Dataset]) -> Dataset:
    """What the step made."""
    made = Dataset()
    made.SeriesInstanceUID = images[0].SeriesInstanceUID
    made.ReferencedImageSequence = [Dataset() for _ in images]
    for item, image in zip(made.ReferencedImageSequence, images, strict=True):
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    return made


def test_a_step_goes_through_the_site_to_the_ris_and_completes_its_study(running: RunningSite, ris: Ris) -> None:
    images, uid, heard = make_instances(5), generate_uid(), ris.heard
    scheduled = Dataset()
    scheduled.StudyInstanceUID = study = images[0].StudyInstanceUID
    host, _, port = running.site.endpoints()["dicom"].rpartition(":")
    entity = AE("CT1")
    entity.add_requested_context(ModalityPerformedProcedureStep)
    entity.add_requested_context(CTImageStorage, images[0].file_meta.TransferSyntaxUID)
    modality = with_verdict(lambda: entity.associate(host, int(port)))
    begun = step("IN PROGRESS", ScheduledStepAttributesSequence=[scheduled], PerformedSeriesSequence=[])
    status, _ = modality.send_n_create(begun, ModalityPerformedProcedureStep, uid)
    assert status.Status == 0
    for image in images:
        assert modality.send_c_store(image).Status == 0
    ended = step("COMPLETED", PerformedSeriesSequence=[series(images)])
    status, _ = modality.send_n_set(ended, ModalityPerformedProcedureStep, uid)
    assert status.Status == 0
    modality.release()

    (completed,) = running.until(lambda: running.events("imaging.study.completed.v1"))
    assert completed["data"]["study_uid"] == study and completed["data"]["instances"] == 5
    assert completed["data"]["reasons"] == [{"kind": "steps_completed", "confidence": 0.98}]
    assert completed["data"]["evidence"] == []
    running.until_archived(study)
    running.until(lambda: len(heard) >= 3, what="told")
    assert [what for what, _ in heard] == ["create", "set", "create"]
    assert [said.get("PerformedProcedureStepStatus") for _, said in heard] == ["IN PROGRESS", "COMPLETED", None]
    (told,) = heard[2][1].ReferencedSeriesSequence
    assert {item.ReferencedSOPInstanceUID for item in told.ReferencedSOPSequence} == {
        image.SOPInstanceUID for image in images
    }
    rows = {row["name"]: row for row in running.api.get("/api/destinations")["destinations"]}
    assert {name: (row["delivered"], row["failed"], row["backlog"]) for name, row in rows.items()} == {
        "ris": (2, 0, 0),
        "images": (1, 0, 0),
    }
    assert running.dead_letters() == 0


def test_steps_reach_a_ris_in_order_and_once_whoever_was_killed_while_it_was_away(
    running: RunningSite, ris: Ris
) -> None:
    steps = [generate_uid(), generate_uid()]
    ris.stop()
    report(running, "create", steps[0])
    killed(running, "dicom_ingest")
    report(running, "create", steps[1])
    killed(running, "nats")
    killed(running, "forwarding")
    report(running, "set", steps[0])
    killed(running, "dicom_ingest")
    report(running, "set", steps[1])
    ris.start()
    running.until(lambda: len(ris.steps) >= 4, 120, "told")
    running.until(lambda: row(running, "ris")["backlog"] == 0, what="nothing waits")
    assert ris.steps == [(what, uid) for what in ("create", "set") for uid in steps]
    assert (row(running, "ris")["delivered"], row(running, "ris")["failed"], running.dead_letters()) == (4, 0, 0)


def report(running: RunningSite, what: str, uid: str) -> None:
    """Report as a modality does: a step that nothing came of."""
    host, _, port = running.site.endpoints()["dicom"].rpartition(":")
    entity = AE("CT1")
    entity.add_requested_context(ModalityPerformedProcedureStep)
    modality = with_verdict(lambda: entity.associate(host, int(port)))
    if what == "create":
        scheduled = Dataset()
        scheduled.StudyInstanceUID = generate_uid()
        begun = step("IN PROGRESS", ScheduledStepAttributesSequence=[scheduled], PerformedSeriesSequence=[])
        status, _ = modality.send_n_create(begun, ModalityPerformedProcedureStep, uid)
    else:
        ended = step("DISCONTINUED", PerformedSeriesSequence=[])
        status, _ = modality.send_n_set(ended, ModalityPerformedProcedureStep, uid)
    modality.release()
    assert status.Status == 0


def killed(running: RunningSite, name: str) -> None:
    """SIGKILL, and wait until another is ready."""
    before = running.process(name)["restarts"]
    running.kill(name)
    running.until_restarted(name, before)
    running.until(lambda: not lifecycle.not_ready(running.site), what=f"{name} ready")


def row(running: RunningSite, name: str) -> dict[str, Any]:
    """Where a queue stands."""
    found: dict[str, Any] = next(
        one for one in running.api.get("/api/destinations")["destinations"] if one["name"] == name
    )
    return found
