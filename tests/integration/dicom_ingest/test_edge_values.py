"""Data sets at the edges of what the standard allows, and beyond: as they came, and indexed as far as is safe."""

import zlib
from hashlib import sha256
from typing import Any

import pytest
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.uid import generate_uid
from pynetdicom import _config

from contracts.formats.headers import Header
from contracts.formats.manifest import Fragments, Instance, NativeFrames
from tests.integration.dicom_ingest.site import RECEIVERS, IngestSite, Landed
from tests.integration.dicom_ingest.wire import CT, EXPLICIT, associated, store
from tests.support.instances import make_instances
from tests.unit.dicom_ingest.data_sets import element, encode

pytestmark = pytest.mark.parametrize("site", RECEIVERS, indirect=True)

IMPLICIT, BIG, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
JPEG_2000, SERIES_TAG = "1.2.840.10008.1.2.4.90", 0x0020000E
STUDY, SERIES = "1.2.826.0.1.3680043.8.498.1", "1.2.826.0.1.3680043.8.498.1.1"
OPEN_ITEM = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"


class Found:
    """An instance as it landed: its batch, its line of the manifest, its line of headers."""

    def __init__(self, batch: Landed, instance: Instance, line: Header) -> None:
        self.batch, self.instance, self.line = batch, instance, line
        self.data = batch.dataset(instance)

    def value(self, tag: str) -> list[Any]:
        assert self.line.header is not None, self.line.reason
        found: list[Any] = self.line.header[tag]["Value"]
        return found


async def sent(site: IngestSite, *data_sets: tuple[str, str, str, bytes], timeout: float = 100) -> list[Found]:
    """What landed of data sets (SOP class, SOP instance, transfer syntax, bytes) over one association, in order."""
    contexts = dict.fromkeys((sop_class, syntax) for sop_class, _uid, syntax, _data in data_sets)
    association = associated(site.port, *contexts)
    for sop_class, uid, syntax, data in data_sets:
        assert store(association, uid, data, sop_class, syntax) == 0
    association.release()
    landed = await site.landed(len(data_sets), timeout)
    found = [
        Found(batch, instance, line)
        for batch in landed
        for instance, line in zip(batch.manifest.instances, batch.headers, strict=True)
    ]
    by_uid = {each.instance.sop_instance_uid: each for each in found}
    in_order = [by_uid[uid] for _class, uid, _syntax, _data in data_sets]
    for each, (sop_class, _uid, syntax, data) in zip(in_order, data_sets, strict=True):
        assert (each.instance.sop_class_uid, each.instance.transfer_syntax) == (sop_class, syntax)
        assert each.data == data
        assert each.instance.dataset_sha256 == sha256(data).hexdigest()
    return in_order


def image(uid: str | None = None, **attributes: Any) -> Any:
    (made,) = make_instances(1, **{"study_uid": STUDY, "series_uid": SERIES, **attributes})
    made.SOPInstanceUID = uid or made.SOPInstanceUID
    return made


async def test_values_of_odd_length_are_kept_and_read(site: IngestSite) -> None:
    site.start()
    uid = generate_uid()
    odd = b"".join(
        (
            element(0x00080018, b"UI", uid.encode()),
            element(0x00080060, b"CS", b"CT "),
            element(0x00100010, b"PN", b"Odd^One"),
            element(0x00100020, b"LO", b"P-1"),
            element(0x0020000D, b"UI", b"1.2.826.0.1.3680043.8.498.1"),
            element(SERIES_TAG, b"UI", b"1.2.826.0.1.3680043.8.498.1.1"),
            element(0x00200013, b"IS", b"007"),
            element(0x00281201, b"OW", b"abc"),
            element(0x7FE00010, b"OB", b"pixel"),
        )
    )
    (found,) = await sent(site, (CT, uid, EXPLICIT, odd))
    one = found.instance
    assert (one.study_uid, one.series_uid, one.flags) == (STUDY, SERIES, ("pixel-length",))
    assert (one.pixel_length, one.routing.instance_number) == (5, 7)
    assert one.routing.patient_token == site.site_key.patient_token("", "P-1")
    assert (found.value("00100010"), found.value("00100020")) == ([{"Alphabetic": "Odd^One"}], ["P-1"])
    assert found.data.endswith(b"pixel")


@pytest.mark.filterwarnings("ignore:The value length")
async def test_uids_of_64_characters_are_whole_everywhere_and_longer_ones_are_flagged(
    site: IngestSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.start()
    monkeypatch.setitem(_config.VALIDATORS, "UI", lambda uid: (True, ""))  # the sender's
    sop_class, study, series, uid = ("2.25." + digit * 59 for digit in "1234")
    longer = uid + "5"
    data = [
        encode(image(name, study_uid=study, series_uid=series, SOPClassUID=sop_class), EXPLICIT)
        for name in (uid, longer)
    ]
    whole, flagged = await sent(site, (sop_class, uid, EXPLICIT, data[0]), (sop_class, longer, EXPLICIT, data[1]))
    for found, flags in ((whole, ()), (flagged, ("irregular-uid",))):
        one = found.instance
        assert (one.study_uid, one.series_uid, one.sop_class_uid, one.flags) == (study, series, sop_class, flags)
        assert found.value("0020000D") == [study]
    assert whole.batch.event.study_uid == study
    assert flagged.instance.sop_instance_uid == longer


async def test_big_endian_implicit_and_deflated_land_as_they_came_and_read_alike(site: IngestSite) -> None:
    site.start()
    made = [image(NumberOfFrames=2, SeriesNumber=4711) for _ in range(4)]
    for each in made:
        each.PixelData *= 2
    plain = encode(made[3], EXPLICIT)
    data = [
        (CT, made[0].SOPInstanceUID, BIG, encode(made[0], BIG)),
        (CT, made[1].SOPInstanceUID, IMPLICIT, encode(made[1], IMPLICIT)),
        (CT, made[2].SOPInstanceUID, EXPLICIT, encode(made[2], EXPLICIT)),
        (CT, made[3].SOPInstanceUID, DEFLATED, zlib.compress(plain, wbits=-15)),
    ]
    *native, deflated = await sent(site, *data)
    for found in native:
        assert isinstance(found.instance.pixels, NativeFrames)
        assert (found.instance.pixels.size, found.instance.pixels.count) == (512, 2)
        assert (found.instance.series_uid, found.instance.routing.series_number) == (SERIES, 4711)
    assert (deflated.instance.pixels, deflated.instance.header_length) == (None, len(deflated.data))
    assert (deflated.instance.study_uid, deflated.instance.series_uid) == (STUDY, SERIES)
    rows = [found.value("00280010") for found in (*native, deflated)]
    assert rows == [[16]] * 4


async def test_encapsulated_pixels_are_indexed_with_and_without_offset_tables(site: IngestSite) -> None:
    site.start()
    frames = [bytes((number,)) * (100 + number) for number in range(5)]
    padded = [frame + b"\0" * (len(frame) % 2) for frame in frames]

    def packed(pixels: bytes, **attributes: Any) -> tuple[str, str, str, bytes]:
        made = image(NumberOfFrames=5, **attributes)
        made.PixelData = pixels
        made["PixelData"].VR, made["PixelData"].is_undefined_length = "OB", True
        return CT, made.SOPInstanceUID, JPEG_2000, encode(made, EXPLICIT)

    extended, offsets, lengths = encapsulate_extended(frames)
    found = await sent(
        site,
        packed(encapsulate(frames, has_bot=True)),
        packed(encapsulate(frames, has_bot=False)),
        packed(extended, ExtendedOffsetTable=offsets, ExtendedOffsetTableLengths=lengths),
        packed(encapsulate(frames, fragments_per_frame=2)),
    )
    for each, fragments in zip(found, (5, 5, 5, 10), strict=True):
        assert isinstance(each.instance.pixels, Fragments)
        pieces = [each.data[at : at + length] for at, length in each.instance.pixels.fragments]
        assert (len(pieces), each.instance.flags) == (fragments, ())
        assert b"".join(pieces).replace(b"\0", b"") == b"".join(padded).replace(b"\0", b"")
        assert each.data[(each.instance.pixel_offset or 0) + (each.instance.pixel_length or 0) :] == (
            b"\xfe\xff\xdd\xe0\0\0\0\0"
        )
    for each in found[:3]:
        assert isinstance(each.instance.pixels, Fragments)
        assert [each.data[at : at + length] for at, length in each.instance.pixels.fragments] == padded
    (bulk,) = (each.line.header for each in found[2:3])
    assert bulk is not None and bulk["7FE00001"] == {"vr": "OV"}


async def test_of_a_header_that_nobody_reads_study_and_series_are_told(site: IngestSite) -> None:
    site.start()
    deep = element(0x00400555, b"SQ", OPEN_ITEM, 0xFFFFFFFF) * 50
    named, nameless, unknown = (generate_uid() for _ in range(3))
    beginning = encode(image(), EXPLICIT).partition(b"\x28\0\x02\0US")[0]
    found = await sent(
        site,
        (CT, named, EXPLICIT, beginning + deep),
        (CT, nameless, EXPLICIT, deep + beginning),
        (CT, unknown, EXPLICIT, b"\xff" * 1000),
    )
    told = [(each.instance.study_uid, each.instance.series_uid) for each in found]
    assert told == [(STUDY, SERIES), (None, None), (None, None)]
    assert [each.instance.flags for each in found] == [("opaque-header",)] * 3
    assert [(each.line.header, each.line.reason) for each in found[:2]] == [(None, "too-deep")] * 2
    assert found[0].batch.event.study_uid == STUDY
    assert found[0].batch.manifest.study_ref == site.site_key.study_ref(STUDY)
    assert {each.batch.event.study_uid for each in found[1:]} == {None}
