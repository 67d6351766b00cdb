"""Reports on performed procedure steps from a real modality: answered when durable, told in order (PS3.4 annex F)."""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE
from pynetdicom.dimse_primitives import N_CREATE
from pynetdicom.sop_class import CTImageStorage, ModalityPerformedProcedureStep

from contracts.events import Blob, StepReported
from shared.storage import read_parts
from tests.integration.dicom_ingest.peers import with_verdict
from tests.integration.dicom_ingest.site import RECEIVERS, IngestSite
from tests.support.instances import make_instances

both = pytest.mark.parametrize("site", RECEIVERS, indirect=True)
STUDY = "2.25.1234567890"


@contextmanager
def association(site: IngestSite, *more: Any) -> Iterator[Any]:
    """A modality that reports steps."""
    entity = AE("CT1")
    for context in (ModalityPerformedProcedureStep, *more):
        entity.add_requested_context(context)
    made = with_verdict(lambda: entity.associate("127.0.0.1", site.port, ae_title="CAUSEWAY"))
    assert made.is_established
    yield made
    made.release()


def begun(**others: Any) -> Dataset:
    """A step that is in progress (PS3.4 table F.7.2-1)."""
    report, scheduled = Dataset(), Dataset()
    scheduled.StudyInstanceUID = STUDY
    scheduled.AccessionNumber = "CANARY-ACC"
    report.ScheduledStepAttributesSequence = [scheduled]
    report.PatientName, report.PatientID = "CANARY^NAME", "CANARY-ID"
    report.PerformedProcedureStepID = "PPS1"
    report.PerformedStationAETitle = "CT1"
    report.PerformedProcedureStepStartDate = "20260131"
    report.PerformedProcedureStepStartTime = "101500"
    report.PerformedProcedureStepStatus = "IN PROGRESS"
    report.Modality = "CT"
    report.PerformedSeriesSequence = []
    return changed(report, others)


def ended(*uids: str, **others: Any) -> Dataset:
    """It is completed, and has made these instances."""
    report, series = Dataset(), Dataset()
    report.PerformedProcedureStepStatus = "COMPLETED"
    report.PerformedProcedureStepEndDate = "20260131"
    report.PerformedProcedureStepEndTime = "103000"
    series.SeriesInstanceUID, series.ProtocolName = "2.25.5", "HEAD"
    series.ReferencedImageSequence = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, uid
        series.ReferencedImageSequence.append(item)
    report.PerformedSeriesSequence = [series]
    return changed(report, others)


def changed(report: Dataset, others: dict[str, Any]) -> Dataset:
    for name, value in others.items():
        if value is None:
            delattr(report, name)
        else:
            setattr(report, name, value)
    return report


def create(peer: Any, report: Dataset, uid: str | None) -> Dataset:
    status, _ = peer.send_n_create(report, ModalityPerformedProcedureStep, uid)
    return status


def update(peer: Any, report: Dataset, uid: str) -> Dataset:
    status, _ = peer.send_n_set(report, ModalityPerformedProcedureStep, uid)
    return status


async def reported(site: IngestSite, count: int) -> list[StepReported]:
    """The events, once there are so many."""
    deadline = time.monotonic() + 60
    while len(found := await site.events(StepReported)) < count:
        assert time.monotonic() < deadline, site.log()[-2000:]
        await asyncio.sleep(0.1)
    return found


async def content(site: IngestSite, blob: Blob | None) -> bytes:
    assert blob is not None
    return b"".join([chunk async for chunk in read_parts(site.landing, blob.key, blob.size)])


@both
async def test_reports_are_told_in_order_with_what_they_say(site: IngestSite) -> None:
    site.start(mpps="relay")
    uid, made = generate_uid(), [generate_uid() for _ in range(3)]
    with association(site, CTImageStorage) as modality:
        assert create(modality, begun(), uid).Status == 0
        assert modality.send_c_store(make_instances(1)[0]).Status == 0, "instances come on the same association"
        assert update(modality, ended(*made), uid).Status == 0
    first, second = await reported(site, 2)
    assert (first.number, first.kind, first.state, first.instances) == (1, "created", "in-progress", 0)
    assert (second.number, second.kind, second.state, second.instances) == (2, "set", "completed", 3)
    assert first.study_uids == second.study_uids == (STUDY,)
    assert first.step_ref == second.step_ref and uid not in first.step_ref
    file = pydicom.dcmread(BytesIO(await content(site, first.report)))
    assert (file.file_meta.MediaStorageSOPInstanceUID, str(file.PatientName)) == (uid, "CANARY^NAME")
    assert json.loads(await content(site, second.references))["sop_instance_uids"] == made
    assert json.loads(await content(site, first.references))["sop_instance_uids"] == []
    told = first.model_dump_json() + second.model_dump_json() + site.log()
    assert "CANARY" not in told and uid not in told
    assert not any("CANARY" in str(path) or uid in str(path) for path in site.folder.rglob("*"))


@both
async def test_by_default_nobody_may_report_steps(site: IngestSite) -> None:
    site.start()
    entity = AE("CT1")
    entity.add_requested_context(ModalityPerformedProcedureStep)
    entity.add_requested_context(CTImageStorage)
    modality = with_verdict(lambda: entity.associate("127.0.0.1", site.port))
    assert [context.abstract_syntax for context in modality.accepted_contexts] == [CTImageStorage]
    assert [context.result for context in modality.rejected_contexts] == [3]
    modality.release()


@both
async def test_our_own_steps_follow_the_states_of_the_standard(site: IngestSite) -> None:
    site.start(mpps="own")
    uid, other = generate_uid(), generate_uid()
    with association(site) as modality:
        assert update(modality, ended("2.25.1"), uid).Status == 0x0112, "it was never created"
        assert create(modality, begun(Modality=None), uid).Status == 0x0120
        assert create(modality, begun(Modality=""), uid).Status == 0x0121
        assert create(modality, begun(ScheduledStepAttributesSequence=[]), uid).Status == 0x0121
        assert create(modality, begun(PerformedProcedureStepStatus="COMPLETED"), uid).Status == 0x0106
        assert create(modality, begun(), uid).Status == 0
        assert create(modality, begun(), uid).Status == 0x0111
        assert update(modality, ended(PerformedSeriesSequence=[]), uid).Status == 0x0120
        assert update(modality, ended(PerformedProcedureStepEndDate=None), uid).Status == 0x0120
        assert update(modality, ended(PerformedProcedureStepStatus="DONE"), uid).Status == 0x0106
        later = Dataset()
        later.PerformedProcedureStepEndDate, later.PerformedProcedureStepEndTime = "20260131", "1030"
        assert update(modality, later, uid).Status == 0, "a report need not change the status"
        assert update(modality, ended("2.25.1", PerformedProcedureStepEndDate=None), uid).Status == 0
        late = update(modality, ended("2.25.1"), uid)
        assert (late.Status, late.ErrorID) == (0x0110, 0xA710)
        assert late.ErrorComment == "Performed Procedure Step Object may no longer be updated"
        assert create(modality, begun(), other).Status == 0
        broken_off = ended(PerformedProcedureStepStatus="DISCONTINUED", PerformedSeriesSequence=[])
        assert update(modality, broken_off, other).Status == 0
        assert update(modality, ended("2.25.1"), other).Status == 0x0110
    told = await reported(site, 5)
    assert [(one.number, one.state) for one in told if one.step_ref == told[0].step_ref] == [
        (1, "in-progress"), (2, "in-progress"), (3, "completed"),
    ]  # fmt: skip
    assert [one.state for one in told if one.step_ref != told[0].step_ref] == ["in-progress", "discontinued"]


@both
async def test_what_is_relayed_is_for_the_ris_to_decide(site: IngestSite) -> None:
    site.start(mpps="relay")
    uid = generate_uid()
    with association(site) as modality:
        assert update(modality, ended("2.25.1", PerformedProcedureStepStatus=None), uid).Status == 0
        assert create(modality, begun(), uid).Status == 0
        assert create(modality, begun(), uid).Status == 0
    told = await reported(site, 3)
    assert [(one.number, one.kind, one.state) for one in told] == [
        (1, "set", "unknown"), (2, "created", "in-progress"), (3, "created", "in-progress"),
    ]  # fmt: skip


@both
async def test_what_is_no_report_is_refused_with_the_reason(site: IngestSite) -> None:
    site.start(mpps="own")
    with association(site, CTImageStorage) as modality:
        assert raw(modality, N_CREATE(), generate_uid(), CTImageStorage).Status == 0x0118, "another class"
        assert raw(modality, N_CREATE(), generate_uid(), data=None).Status == 0x0120
        assert raw(modality, N_CREATE(), generate_uid(), data=b"\x99" * 50).Status == 0x0120, "nothing can be read"
        assert raw(modality, N_CREATE(), generate_uid(), data=bytes(4 * 1024 * 1024 + 2)).Status == 0x0213
        answer = raw(modality, N_CREATE(), None, data=encoded(begun()))
        assert answer.Status == 0 and answer.AffectedSOPInstanceUID.startswith("2.25."), "we name what has no name"
        assert update(modality, ended("2.25.1"), answer.AffectedSOPInstanceUID).Status == 0
    assert len(await reported(site, 2)) == 2


def raw(
    peer: Any, request: Any, uid: str | None, sop_class: str = ModalityPerformedProcedureStep, data: bytes | None = b""
) -> Any:
    """Send what pynetdicom would not make, on the context for steps."""
    is_new = isinstance(request, N_CREATE)
    request.MessageID = 7
    if is_new:
        request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = sop_class, uid
        request.AttributeList = None if data is None else BytesIO(data or encoded(begun()))
    else:
        request.RequestedSOPClassUID, request.RequestedSOPInstanceUID = sop_class, uid
        request.ModificationList = None if data is None else BytesIO(data)
    context = next(each for each in peer.accepted_contexts if each.abstract_syntax == ModalityPerformedProcedureStep)
    peer._reactor_checkpoint.clear()
    peer.dimse.send_msg(request, context.context_id)
    _, answer = peer.dimse.get_msg(block=True)
    peer._reactor_checkpoint.set()
    return answer


def encoded(report: Dataset) -> bytes:
    from pynetdicom.dsutils import encode

    made = encode(report, is_implicit_vr=True, is_little_endian=True)
    assert made is not None
    return made


async def test_a_report_that_was_acknowledged_is_told_after_a_kill_and_the_step_is_known(site: IngestSite) -> None:
    """The bus is away, then the process is."""
    site.start(mpps="own")
    uid = generate_uid()
    site.nats.kill()
    with association(site) as modality:
        assert create(modality, begun(), uid).Status == 0
    assert site.process is not None
    site.process.kill()
    site.nats.start()
    site.start(mpps="own")
    with association(site) as modality:
        assert create(modality, begun(), uid).Status == 0x0111
        assert update(modality, ended("2.25.1"), uid).Status == 0
    told = await reported(site, 2)
    assert [(one.number, one.state) for one in told] == [(1, "in-progress"), (2, "completed")]
    site.process.kill()
    site.start(mpps="own")
    with association(site) as modality:
        assert update(modality, ended("2.25.1"), uid).Status == 0x0110, "a step that was told is known too"
    folder = site.spool / "steps"
    assert [path.name for path in folder.glob("*.step")] == [f"{told[0].step_ref}.step"]
    assert not list(folder.glob("*.report"))


async def test_a_step_is_forgotten_with_its_reports(site: IngestSite) -> None:
    site.start(mpps="relay", mpps_keep_days=2 / 86_400)
    with association(site) as modality:
        assert create(modality, begun(), generate_uid()).Status == 0
    (told,) = await reported(site, 1)
    deadline = time.monotonic() + 60
    while list((site.spool / "steps").glob("*.step")) or list((site.folder / "landing").glob("*/*/*/report")):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)
    with pytest.raises(Exception, match="missing"):
        await content(site, told.report)


@pytest.mark.slow
async def test_a_modality_that_goes_on_through_kills_finds_every_answer_kept(site: IngestSite) -> None:
    """What was acknowledged is told once and in its order; what was not may be told, once."""
    acknowledged: list[tuple[str, str]] = []
    chance = random.Random(7)
    for _ in range(6):
        site.start(mpps="relay")
        assert site.process is not None
        killer = asyncio.get_running_loop().call_later(chance.uniform(0.3, 1.2), site.process.kill)
        await asyncio.to_thread(report_until_it_fails, site, acknowledged)
        killer.cancel()
        site.process.kill()
    site.start(mpps="relay")
    wanted = len(acknowledged)
    assert wanted > 20
    told = await reported(site, wanted)
    deadline = time.monotonic() + 60
    while list((site.spool / "steps").glob("*.report")):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    told = await reported(site, wanted)
    by_step: dict[str, list[StepReported]] = {}
    for one in told:
        by_step.setdefault(one.step_ref, []).append(one)
    for uid in dict.fromkeys(uid for uid, _ in acknowledged):
        found = by_step[site.site_key.token("step", uid)]
        assert [one.number for one in found] == list(range(1, len(found) + 1))
        kinds = [kind for each, kind in acknowledged if each == uid]
        assert [one.kind for one in found][: len(kinds)] == kinds
        assert len(found) <= len(kinds) + 1, "at most what was under way"
    assert not list((site.spool / "steps").glob("*.damaged"))


def report_until_it_fails(site: IngestSite, acknowledged: list[tuple[str, str]]) -> None:
    """One step after another, two reports each, on one association."""
    with contextlib.suppress(Exception), association(site) as modality:
        while True:
            uid = generate_uid()
            for kind, send, said in (("created", create, begun()), ("set", update, ended("2.25.1"))):
                if send(modality, said, uid).Status != 0:
                    return
                acknowledged.append((uid, kind))
