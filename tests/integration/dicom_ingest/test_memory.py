"""Memory is bounded by configuration, never by the size of an instance."""

import os
from pathlib import Path

import pytest

from cli.send import send
from contracts.formats.manifest import NativeFrames
from tests.integration.dicom_ingest.large_images import MIB, sparse_image
from tests.integration.dicom_ingest.site import MEMORY_BOUND, RECEIVERS, IngestSite

#: Larger than the bound; CAUSEWAY_LARGE_INSTANCE_MIB=2048 tries what a whole-slide image can be.
SIZE = int(os.environ.get("CAUSEWAY_LARGE_INSTANCE_MIB", "320")) * MIB


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("site", RECEIVERS, indirect=True)
async def test_an_instance_larger_than_the_memory_bound_passes_through_it(site: IngestSite, tmp_path: Path) -> None:
    length = sparse_image(tmp_path / "large.dcm", SIZE)
    site.start()
    sparse_image(tmp_path / "small.dcm", MIB)
    assert send([tmp_path / "small.dcm"], host="127.0.0.1", port=site.port).failed == []
    await site.spool_is_empty()
    before = site.peak_bytes()
    report = send([tmp_path / "large.dcm"], host="127.0.0.1", port=site.port)
    assert report.failed == []
    await site.spool_is_empty(timeout=300)
    _small, (event, manifest) = await site.manifests()
    (instance,) = manifest.instances
    assert instance.length - instance.dataset_offset == length
    assert instance.pixels == NativeFrames(offset=length - SIZE, size=2 * MIB, count=SIZE // (2 * MIB))
    assert event.batch.archive.size > SIZE
    assert site.peak_bytes() < MEMORY_BOUND
    # Less than one part of what lands (64 MiB): it is never in memory as a whole.
    assert site.peak_bytes() - before < 48 * MIB
