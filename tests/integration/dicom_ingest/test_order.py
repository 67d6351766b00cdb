"""What a modality sends of a study is told in the order in which it came, through outages and crashes."""

import pytest

from cli.send import send
from tests.integration.dicom_ingest.site import IngestSite, write_files
from tests.support.instances import as_file, make_instances, uid


@pytest.mark.parametrize("killed", [False, True], ids=["outage", "outage-and-crash"])
async def test_batches_of_a_study_are_told_in_order(site: IngestSite, killed: bool) -> None:
    """Of two studies whose instances alternate; the first of each is far larger than the others."""
    studies = {
        study: [*make_instances(1, study_uid=study, rows=1600), *make_instances(5, study_uid=study)]
        for study in (uid(), uid())
    }
    pairs = zip(*studies.values(), strict=True)
    files = write_files(site.folder / "send", (as_file(image) for pair in pairs for image in pair))
    site.start(batch_instances=1)
    site.nats.kill()
    assert len(send(files, host="127.0.0.1", port=site.port).sent) == len(files)
    if killed:
        assert site.process is not None
        site.process.kill()
        site.start(batch_instances=1)
    site.nats.start()
    told = await site.landed(len(files))
    for study, images in studies.items():
        found = [each.manifest.instances[0].sop_instance_uid for each in told if each.event.study_uid == study]
        assert found == [image.SOPInstanceUID for image in images]
    await site.spool_is_empty()
