"""Memory is bounded by configuration, never by the size of an instance."""

import os
from pathlib import Path

import pytest

from cli.send import send
from contracts.formats.manifest import NativeFrames
from tests.integration.dicom_ingest.site import MEMORY_BOUND, IngestSite
from tests.support.instances import make_instances
from tests.unit.dicom_ingest.data_sets import element, encode

MIB = 1 << 20
#: Larger than the bound; CAUSEWAY_LARGE_INSTANCE_MIB=2048 tries what a whole-slide image can be.
SIZE = int(os.environ.get("CAUSEWAY_LARGE_INSTANCE_MIB", "320")) * MIB


def large_file(path: Path) -> int:
    """A file whose pixels are a hole of SIZE bytes; the length of its data set."""
    (image,) = make_instances(1)
    del image.PixelData
    image.Rows, image.Columns, image.NumberOfFrames = 1024, 1024, SIZE // (2 * MIB)
    header = encode(image, "1.2.840.10008.1.2.1") + element(0x7FE00010, b"OW", b"", SIZE)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + SIZE)
    return len(header) + SIZE


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_an_instance_larger_than_the_memory_bound_passes_through_it(site: IngestSite, tmp_path: Path) -> None:
    length = large_file(tmp_path / "large.dcm")
    site.start()
    report = send([tmp_path / "large.dcm"], host="127.0.0.1", port=site.port)
    assert report.failed == []
    await site.spool_is_empty(timeout=300)
    ((event, manifest),) = await site.manifests()
    (instance,) = manifest.instances
    assert instance.length - instance.dataset_offset == length
    assert instance.pixels == NativeFrames(offset=length - SIZE, size=2 * MIB, count=SIZE // (2 * MIB))
    assert event.batch.archive.size > SIZE
    assert site.peak_bytes() < MEMORY_BOUND
