"""From a closed batch to the landing store and the bus."""

import io
import zipfile
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from zlib import crc32

import pytest
from blake3 import blake3
from pydicom import Dataset

from contracts.events import BatchArchived, BatchOverdue, BatchStored, Waiting
from contracts.formats.headers import read_headers
from contracts.formats.manifest import Manifest, read_manifest
from services.dicom_ingest.adapters.archives import Archives
from services.dicom_ingest.domain.instance import RecordDamaged
from services.dicom_ingest.handlers.landed import Landed
from services.dicom_ingest.handlers.landing import Landing, landing_folder
from shared.identity import SiteKey
from shared.messaging.cloudevent import Received
from shared.storage import MemoryStore, read_parts
from tests.support.instances import CANARY, make_instances
from tests.unit.dicom_ingest.data_sets import encode
from tests.unit.dicom_ingest.fakes import FakeBus, FakeSpooledBatch, HereDescriber

EXPLICIT = "1.2.840.10008.1.2.1"
STUDY = "1.2.3.4"
KEY = SiteKey(bytes(32))


def slices(count: int = 3, **attributes: object) -> list[bytes]:
    return [encode(each, EXPLICIT) for each in make_instances(count, study_uid=STUDY, **attributes)]  # type: ignore[arg-type]


class Site:
    """A landing handler with a store in memory."""

    def __init__(self, folder: Path) -> None:
        self.store, self.bus = MemoryStore(), FakeBus()
        self.landed = Landed(store=self.store, bus=self.bus, site_key=KEY)
        self.landing = Landing(
            store=self.store,
            bus=self.bus,
            site_key=KEY,
            describer=HereDescriber(KEY),
            scratch=folder,
            put_file=Archives(self.store).put,
            passed=lambda step: None,
        )

    async def land(self, batch: FakeSpooledBatch) -> BatchStored:
        await self.landing.land(batch)
        event = self.bus.published[-1][1]
        assert isinstance(event, BatchStored)
        return event

    async def read(self, blob: object) -> bytes:
        return b"".join([chunk async for chunk in read_parts(self.store, blob.key, blob.size)])  # type: ignore[attr-defined]

    async def manifest(self, event: BatchStored) -> Manifest:
        return read_manifest([await self.read(event.batch.manifest)])


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def test_the_archive_is_a_zip_of_the_files_at_the_manifests_offsets(site: Site) -> None:
    data = slices()
    event = await site.land(FakeSpooledBatch(*data, study_uid=STUDY))
    archive, manifest = await site.read(event.batch.archive), await site.manifest(event)
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        assert opened.namelist() == [instance.entry for instance in manifest.instances]
    for instance, sent in zip(manifest.instances, data, strict=True):
        file = archive[instance.offset : instance.offset + instance.length]
        assert file[instance.dataset_offset :] == sent
        assert instance.crc32 == crc32(file)
        assert instance.meta_sha256 == sha256(file[: instance.dataset_offset]).hexdigest()
        assert instance.header_sha256 == sha256(sent[: instance.header_length]).hexdigest()
        start = instance.pixel_offset or 0
        assert instance.pixel_blake3 == blake3(sent[start : start + (instance.pixel_length or 0)]).hexdigest()
        assert instance.dataset_sha256 == sha256(sent).hexdigest()


async def test_the_manifest_tells_source_study_and_routing(site: Site) -> None:
    manifest = await site.manifest(await site.land(FakeSpooledBatch(*slices(2), study_uid=STUDY)))
    assert (manifest.study_uid, manifest.study_ref) == (STUDY, KEY.study_ref(STUDY))
    assert manifest.source is not None and manifest.source.calling_ae == "CT1"
    assert manifest.received == datetime(2026, 1, 1, tzinfo=UTC)
    routing = manifest.instances[1].routing
    assert (routing.modality, routing.body_part, routing.station_name) == ("CT", "CHEST", "CT1")
    assert (routing.study_date, routing.series_number, routing.instance_number) == ("20200102", 1, 2)
    assert routing.patient_token == KEY.patient_token("", "T1")
    assert routing.accession_token == KEY.accession_token("", "A1")


@pytest.mark.parametrize("placeholder", ["", "UNKNOWN", "anonymous", "0", " "])
async def test_ids_that_stand_for_none_have_no_token(site: Site, placeholder: str) -> None:
    data = slices(1, PatientID=placeholder, AccessionNumber=placeholder)
    (instance,) = (await site.manifest(await site.land(FakeSpooledBatch(*data, study_uid=STUDY)))).instances
    assert (instance.routing.patient_token, instance.routing.accession_token) == (None, None)


async def test_a_patient_of_another_issuer_is_another_patient(site: Site) -> None:
    data = slices(1, IssuerOfPatientID="ELSEWHERE")
    (instance,) = (await site.manifest(await site.land(FakeSpooledBatch(*data, study_uid=STUDY)))).instances
    assert instance.routing.patient_token == KEY.patient_token("ELSEWHERE", "T1")


async def test_a_header_that_cannot_be_read_is_a_null_line_with_its_reason(site: Site) -> None:
    event = await site.land(FakeSpooledBatch(*slices(1), b"\xff" * 100, study_uid=STUDY))
    first, second = read_headers([await site.read(event.batch.headers)])
    assert first.header is not None and first.header["00100020"]["Value"] == ["T1"]
    assert (second.entry, second.header, second.reason) == ("000002.dcm", None, "unknown-vr")
    assert (await site.manifest(event)).instances[1].flags == ("opaque-header",)


async def test_the_event_and_its_id_tell_nothing_of_the_patient(site: Site) -> None:
    await site.land(FakeSpooledBatch(*slices(1, canary=CANARY), study_uid=STUDY))
    ((event_id, event),) = site.bus.published
    told = event_id + event.model_dump_json() + "".join([blob.key async for blob in site.store.list("")])
    assert not [value for value in CANARY.values if value in told]


async def test_a_repeat_finds_its_own_bytes_and_says_the_same_under_the_same_id(site: Site) -> None:
    batch = FakeSpooledBatch(*slices(), study_uid=STUDY)
    await site.landing.land(batch)
    before = {blob.key: await site.store.get(blob.key) async for blob in site.store.list("")}
    await site.landing.land(batch)
    assert site.bus.published[0] == site.bus.published[1]
    assert {blob.key: await site.store.get(blob.key) async for blob in site.store.list("")} == before


async def test_what_an_older_version_landed_of_the_batch_stays_and_is_what_is_told(site: Site) -> None:
    batch = FakeSpooledBatch(*slices(), study_uid=STUDY)
    key = KEY.storage_key("identified", "batch", batch.opening.batch_id)
    await site.store.put(f"{key}/headers/0001", b"as an older version rendered it\n")
    event = await site.land(batch)
    assert await site.read(event.batch.headers) == b"as an older version rendered it\n"
    assert event.batch.headers.sha256 == sha256(b"as an older version rendered it\n").hexdigest()


async def test_what_has_no_study_is_kept_together_by_source_and_day(site: Site) -> None:
    event = await site.land(FakeSpooledBatch(b"", study_uid=None))
    assert event.study_uid is None
    assert event.study_ref == KEY.study_ref("without-study/CT1/2026-01-01")


async def test_a_record_that_the_disk_has_changed_is_not_landed(site: Site) -> None:
    batch = FakeSpooledBatch(*slices(), study_uid=STUDY)
    batch._content = batch._content[:-1] + bytes([batch._content[-1] ^ 1])
    with pytest.raises(RecordDamaged):
        await site.landing.land(batch)
    assert [blob.key async for blob in site.store.list("")] == []
    assert site.bus.published == []


async def test_a_lost_event_is_told_again_as_it_was(site: Site) -> None:
    event = await site.land(FakeSpooledBatch(*slices(), study_uid=STUDY))
    for step in ("pack.sealed", "batch.stored"):
        overdue = BatchOverdue(
            batch_id=event.batch.batch_id,
            study_ref=event.study_ref,
            waiting_for=(Waiting(step=step),),
            since=datetime.now(UTC),
            run=0,
        )
        await site.landed.batch_overdue(Received(id="x", data=overdue, time=datetime.now(UTC)))
    first, again = site.bus.published
    assert first == again


async def test_nobody_is_told_of_a_lost_batch_that_is_not_here(site: Site) -> None:
    waits = (Waiting(step="batch.stored"),)
    overdue = BatchOverdue(batch_id="ab" * 16, study_ref="x", waiting_for=waits, since=datetime.now(UTC), run=0)
    await site.landed.batch_overdue(Received(id="x", data=overdue, time=datetime.now(UTC)))
    assert site.bus.published == []


async def test_an_accession_number_of_another_issuer_is_another_order(site: Site) -> None:
    issuer = Dataset()
    issuer.LocalNamespaceEntityID = "RIS"
    data = slices(1, IssuerOfAccessionNumberSequence=[issuer])
    (instance,) = (await site.manifest(await site.land(FakeSpooledBatch(*data, study_uid=STUDY)))).instances
    assert instance.routing.accession_token == KEY.accession_token("RIS", "A1")


async def test_an_archived_batch_leaves_its_manifest_and_headers(site: Site) -> None:
    event = await site.land(FakeSpooledBatch(*slices(), study_uid=STUDY))
    archived = BatchArchived(
        batch_id=event.batch.batch_id,
        study_uid=STUDY,
        study_ref=event.study_ref,
        pack_ids=(),
        sealed_ids=(),
        copies=(),
        withheld=0,
    )
    for _ in range(2):
        await site.landed.batch_archived(Received(id="x", data=archived, time=datetime.now(UTC)))
    kept = {f"{blob.key}/0001" for blob in (event.batch.manifest, event.batch.headers)}
    folder = landing_folder(KEY, event.batch.batch_id)
    kept |= {f"{folder}/event/0001", f"{folder}/released/0001"}
    assert {blob.key async for blob in site.store.list("")} == kept
    await site.landing.land(FakeSpooledBatch(*slices(), study_uid=STUDY))
    assert {blob.key async for blob in site.store.list("")} == kept, "a crash left it in the spool meanwhile"


async def test_a_data_set_that_names_another_instance_is_flagged_and_keeps_the_uid_it_came_under(site: Site) -> None:
    (instance,) = (await site.manifest(await site.land(FakeSpooledBatch(*slices(1), study_uid=STUDY)))).instances
    assert (instance.sop_instance_uid, instance.flags) == ("1.2.3.0", ("other-uid",))
