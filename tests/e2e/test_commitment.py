"""A modality asks that its study be kept, and is told so once it is secured."""

import queue
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel

from tests.e2e.conftest import RunningSite
from tests.support.instances import as_file, make_instances

pytestmark = [pytest.mark.xdist_group("site"), pytest.mark.timeout(240)]

WELL_KNOWN = "1.2.840.10008.1.20.1.1"


def test_a_study_that_was_sent_is_committed_when_it_is_secured(running: RunningSite, tmp_path: Path) -> None:
    images = make_instances(3)
    paths = [tmp_path / f"{number}.dcm" for number in range(3)]
    for path, image in zip(paths, images, strict=True):
        path.write_bytes(as_file(image))
    running.send(paths, associations=1)
    asked = Dataset()
    asked.TransactionUID = generate_uid()
    asked.ReferencedSOPSequence = [Dataset() for _ in images]
    for item, image in zip(asked.ReferencedSOPSequence, images, strict=True):
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    reports: queue.Queue[tuple[int, Dataset]] = queue.Queue()

    def heard(event: evt.Event) -> int:
        reports.put((event.event_type, event.event_information))
        return 0x0000

    entity = AE("MODALITY")
    entity.add_requested_context(StorageCommitmentPushModel)
    host, _, port = running.site.endpoints()["dicom"].rpartition(":")
    association = entity.associate(host, int(port), evt_handlers=[(evt.EVT_N_EVENT_REPORT, lambda e: (heard(e), None))])
    status, _ = association.send_n_action(asked, 1, StorageCommitmentPushModel, WELL_KNOWN)
    assert status.Status == 0
    event_type, report = reports.get(timeout=90)
    association.release()
    assert (event_type, report.TransactionUID) == (1, asked.TransactionUID)
    assert {each.ReferencedSOPInstanceUID for each in report.ReferencedSOPSequence} == {
        image.SOPInstanceUID for image in images
    }
    secured = {event["data"]["study_ref"] for event in running.events("imaging.batch.secured.v1")}
    (study,) = running.api.get("/api/studies", study=images[0].StudyInstanceUID)["studies"]
    assert study["study_ref"] in secured
    listed = running.api.get("/api/commitments")
    assert listed["decided"] >= 1 and listed["waiting"] == []
