"""Every readable DICOM file of the corpus arrives, and lies in the landing store as it lies on disk."""

from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest

from cli.dicom_files import Outgoing, examine, files_below
from cli.send import send
from tests.integration.dicom_ingest.site import MEMORY_BOUND, RECEIVERS, IngestSite

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.parametrize("site", RECEIVERS, indirect=True),
]


def data_set(outgoing: Outgoing) -> bytes:
    """The bytes that are to arrive."""
    return outgoing.path.read_bytes()[outgoing.offset :]


async def test_every_readable_file_lands_with_the_data_set_it_had(site: IngestSite, corpus: Path) -> None:
    files = list(files_below([corpus / "dicom"]))
    readable = [found for found in map(examine, files) if isinstance(found, Outgoing)]
    site.start()
    report = send([corpus / "dicom"], host="127.0.0.1", port=site.port, associations=4)
    assert len(report.sent) == len(readable) > 1000, [(each.path.name, each.why) for each in report.failed]
    assert len(report.failed) + len(report.skipped) == len(files) - len(readable)

    landed = await site.landed(len(readable), timeout=200)
    sent = Counter((each.sop_instance, each.transfer_syntax, sha256(data_set(each)).digest()) for each in readable)
    arrived = Counter(
        (instance.sop_instance_uid, instance.transfer_syntax, sha256(batch.dataset(instance)).digest())
        for batch in landed
        for instance in batch.manifest.instances
    )
    assert arrived == sent
    for batch in landed:
        assert {instance.study_uid for instance in batch.manifest.instances} <= {batch.event.study_uid}
        for instance in batch.manifest.instances:
            assert instance.dataset_sha256 == sha256(batch.dataset(instance)).hexdigest()
            assert instance.meta_sha256 == sha256(batch.file(instance)[: instance.dataset_offset]).hexdigest()
    await site.spool_is_empty()
    assert site.peak_bytes() < MEMORY_BOUND
