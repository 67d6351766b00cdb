"""C-STORE to spool to landing store to event."""

from hashlib import sha256
from pathlib import Path

import pytest

from contracts.events import AssociationEnded
from tests.integration.dicom_ingest.site import RECEIVERS, IngestSite, dcmtk, write_files
from tests.support.instances import as_file, make_instances

pytestmark = [pytest.mark.dcmtk, pytest.mark.parametrize("site", RECEIVERS, indirect=True)]


async def test_a_study_sent_by_dcmtk_lies_in_the_landing_store_as_it_was_sent(site: IngestSite, tmp_path: Path) -> None:
    slices = make_instances(5, rows=64)
    files = write_files(tmp_path / "send", map(as_file, slices))
    site.start()
    assert dcmtk("dcmsend", "127.0.0.1", str(site.port), *files)[0] == 0
    (landed,) = await site.landed(5)
    study = slices[0].StudyInstanceUID
    assert landed.event.study_uid == study
    assert landed.manifest.study_ref == site.site_key.study_ref(study)
    for instance, sent in zip(landed.manifest.instances, files, strict=True):
        dataset = landed.dataset(instance)
        assert sent.read_bytes().endswith(dataset)
        assert instance.dataset_sha256 == sha256(dataset).hexdigest()
        assert instance.meta_sha256 == sha256(landed.file(instance)[: instance.dataset_offset]).hexdigest()
        pixels = dataset[instance.pixel_offset : instance.pixel_offset + instance.pixel_length]
        assert pixels == slices[files.index(sent)].PixelData
    assert [header.header["00080018"]["Value"][0] for header in landed.headers] == [
        each.SOPInstanceUID for each in slices
    ]
    await site.spool_is_empty()
    (ended,) = await site.events(AssociationEnded)
    assert (ended.how, ended.stored, ended.batches) == ("released", 5, (landed.event.batch.batch_id,))
    assert ended.batch_study_refs == ended.study_refs == (landed.event.study_ref,)
