"""Data sets of very many items: as they came, within the bound of memory, and nobody waits for them."""

import pytest
from pydicom.uid import generate_uid

from contracts.formats.manifest import NativeFrames
from tests.integration.dicom_ingest.site import MEMORY_BOUND, IngestSite
from tests.integration.dicom_ingest.test_edge_values import SERIES, STUDY, image, sent
from tests.integration.dicom_ingest.wire import CT, EXPLICIT
from tests.unit.dicom_ingest.data_sets import encode
from tests.unit.dicom_ingest.frames import ENHANCED_CT, SEGMENTATION, enhanced_ct, item, segmentation, sequence

# What reads them is the same behind both receivers.
pytestmark = pytest.mark.parametrize(
    ("site", "undefined"), [("fast", False), ("fast", True), ("standard", True)], indirect=["site"]
)


@pytest.mark.slow
async def test_ten_thousand_frames_are_told_and_indexed_within_the_memory_bound(
    site: IngestSite, undefined: bool
) -> None:
    site.start()
    data = [
        (
            sop_class,
            uid := generate_uid(),
            EXPLICIT,
            make(10_000, undefined=undefined, sop_uid=uid, study_uid=STUDY, series_uid=SERIES),
        )
        for sop_class, make in ((ENHANCED_CT, enhanced_ct), (SEGMENTATION, segmentation))
    ]
    for found, size in zip(await sent(site, *data, timeout=600), (128, 32), strict=True):
        one = found.instance
        assert (one.study_uid, one.series_uid, one.flags) == (STUDY, SERIES, ("abridged-header",))
        assert one.pixels == NativeFrames(offset=len(found.data) - 10_000 * size, size=size, count=10_000)
        assert found.value("00280008") == [10_000]
        assert found.line.header is not None and found.line.header["52009230"] == {"vr": "SQ"}
        assert one.routing.patient_token is not None
    assert site.peak_bytes() < MEMORY_BOUND


async def test_a_million_items_hold_up_nobody_and_are_told_of(site: IngestSite, undefined: bool) -> None:
    site.start()
    many = sequence(0x00400555, item(undefined=False) * 1_000_000, undefined=undefined)
    one, other = image(), image()
    beginnings = [encode(each, EXPLICIT).partition(b"\x28\0\x02\0US")[0] for each in (one, other)]
    found = await sent(
        site,
        (CT, one.SOPInstanceUID, EXPLICIT, beginnings[0] + many),
        (CT, other.SOPInstanceUID, EXPLICIT, beginnings[1]),
    )
    assert [each.instance.flags for each in found] == [("abridged-header",), ()]
    assert {each.instance.series_uid for each in found} == {SERIES}
    assert site.peak_bytes() < MEMORY_BOUND
