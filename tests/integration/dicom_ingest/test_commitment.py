"""Storage commitment between real peers: N-ACTION in, an event, a decision, N-EVENT-REPORT out (PS3.4 annex J)."""

import asyncio
import json
import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import CTImageStorage, StorageCommitmentPushModel

from contracts.events import BatchStored, CommitmentDecided, CommitmentRequested, Outcome
from tests.integration.dicom_ingest.site import RECEIVERS, IngestSite
from tests.integration.dicom_ingest.wire import context_of, own_answers, units
from tests.integration.dicom_ingest.wire import request as wire_request
from tests.support.instances import make_instances
from tests.support.ports import free_ports
from tests.support.services import publisher

#: Seconds in which a decision has come to the association that waits for it, several times over.
_TOLD = 2.0
WELL_KNOWN = "1.2.840.10008.1.20.1.1"
both = pytest.mark.parametrize("site", RECEIVERS, indirect=True)


class Modality:
    """Asks for commitment, and hears of it on whatever association it is told."""

    def __init__(self, site: IngestSite, port: int = 0, address: str = "127.0.0.1") -> None:
        self.site, self.port, self.address = site, port, address
        self.reports: queue.Queue[tuple[int, Dataset]] = queue.Queue()
        self.status = 0x0000

    def heard(self, event: evt.Event) -> tuple[int, None]:
        self.reports.put((event.event_type, event.event_information))
        return self.status, None

    @contextmanager
    def association(self, *more: Any) -> Iterator[Any]:
        entity = AE("CT1")
        for context in (StorageCommitmentPushModel, *more):
            entity.add_requested_context(context)
        handlers = [(evt.EVT_N_EVENT_REPORT, self.heard)]
        association = entity.associate(
            "127.0.0.1", self.site.port, ae_title="CAUSEWAY", evt_handlers=handlers, bind_address=(self.address, 0)
        )
        assert association.is_established
        yield association
        association.release()

    @contextmanager
    def listening(self) -> Iterator[None]:
        entity = AE("CT1")
        entity.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
        server = entity.start_server(
            (self.address, self.port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, self.heard)]
        )
        yield
        server.shutdown()

    def ask(self, *uids: str, transaction: str, association: Any = None) -> int:
        if association is None:
            with self.association() as own:
                return ask(own, *uids, transaction=transaction)
        return ask(association, *uids, transaction=transaction)

    async def report(self, timeout: float = 60) -> tuple[int, Dataset]:
        return await asyncio.to_thread(self.reports.get, timeout=timeout)


def action(*uids: str, transaction: str) -> Dataset:
    asked = Dataset()
    asked.TransactionUID = transaction
    asked.ReferencedSOPSequence = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, uid
        asked.ReferencedSOPSequence.append(item)
    return asked


def ask(association: Any, *uids: str, transaction: str, action_type: int = 1, instance: str = WELL_KNOWN) -> int:
    status, _ = association.send_n_action(
        action(*uids, transaction=transaction), action_type, StorageCommitmentPushModel, instance
    )
    return int(status.Status)


async def requested(site: IngestSite, count: int = 1) -> list[CommitmentRequested]:
    deadline = time.monotonic() + 60
    while len(found := await site.events(CommitmentRequested)) < count:
        assert time.monotonic() < deadline, site.log()[-2000:]
        await asyncio.sleep(0.1)
    return found


async def decide(site: IngestSite, request: CommitmentRequested, **reasons: int) -> None:
    """Tell what was decided: everything is committed but what has a reason, by the number of the instance."""
    uids = [uid for each in request.referenced for uid in each.sop_instance_uids]
    outcomes = [Outcome(sop_class_uid=CTImageStorage, reason=None, sop_instance_uids=tuple(uids[len(reasons) :]))]
    for uid, reason in zip(uids, reasons.values(), strict=False):
        outcomes.append(Outcome(sop_class_uid=CTImageStorage, reason=reason, sop_instance_uids=(uid,)))
    fields = {"commitment_id", "transaction_uid", "calling_ae", "called_ae", "requested", "peer"}
    values = request.model_dump(include=fields)
    event = CommitmentDecided(
        **values, outcomes=tuple(each for each in outcomes if each.sop_instance_uids), decided=datetime.now(UTC)
    )
    async with publisher(site.nats) as bus:
        await bus.publish(event, id=f"decided-{request.commitment_id}-{time.monotonic()}")


def named(items: Any) -> list[str]:
    return [item.ReferencedSOPInstanceUID for item in items]


@both
async def test_a_request_is_told_and_reported_on_the_association_it_came_on(site: IngestSite) -> None:
    site.start()
    modality, uid, transaction = Modality(site), generate_uid(), generate_uid()
    with modality.association() as association:
        assert await asyncio.to_thread(ask, association, uid, transaction=transaction) == 0
        (request,) = await requested(site)
        assert (request.transaction_uid, request.calling_ae, request.called_ae) == (transaction, "CT1", "CAUSEWAY")
        (referenced,) = request.referenced
        assert (referenced.sop_class_uid, referenced.stored, referenced.sop_instance_uids) == (
            CTImageStorage,
            True,
            (uid,),
        )
        await decide(site, request)
        event_type, report = await modality.report()
        assert (event_type, report.TransactionUID, named(report.ReferencedSOPSequence)) == (1, transaction, [uid])
        assert "FailedSOPSequence" not in report
        assert await asyncio.to_thread(ask, association, uid, transaction=generate_uid()) == 0, "it goes on"
    assert uid not in site.log()


@both
async def test_a_report_waits_for_the_end_of_what_the_peer_is_sending(site: IngestSite) -> None:
    """A modality that waits for the answer to its C-STORE may take no request before that."""
    site.start()
    modality, uid = Modality(site), generate_uid()
    with modality.association(CTImageStorage) as association:
        assert await asyncio.to_thread(ask, association, uid, transaction=generate_uid()) == 0
        (request,) = await requested(site)
        data = encode(make_instances(1, rows=200)[0], False, True)
        context = context_of(association, CTImageStorage)
        with own_answers(association):
            *most, last = units(wire_request(CTImageStorage, generate_uid(), data), context)
            for unit in most:
                association.dul.send_pdu(unit)
            await decide(site, request)
            await asyncio.sleep(_TOLD)
            assert modality.reports.empty()
            association.dul.send_pdu(last)
            _, answer = await asyncio.to_thread(association.dimse.get_msg, block=True)
        assert answer.Status == 0x0000
        assert named((await modality.report())[1].ReferencedSOPSequence) == [uid]


@both
async def test_two_thousand_instances_are_asked_for_and_reported_whole(site: IngestSite) -> None:
    site.start()
    modality, uids = Modality(site), [generate_uid() for _ in range(2000)]
    with modality.association() as association:
        assert await asyncio.to_thread(ask, association, *uids, transaction=generate_uid()) == 0
        (request,) = await requested(site)
        await decide(site, request, first=0x0112, second=0x0213)
        event_type, report = await modality.report()
    assert event_type == 2
    assert named(report.ReferencedSOPSequence) == uids[2:]
    assert named(report.FailedSOPSequence) == uids[:2]
    assert [item.FailureReason for item in report.FailedSOPSequence] == [0x0112, 0x0213]


@both
async def test_what_is_no_request_for_commitment_is_refused_with_the_reason(site: IngestSite) -> None:
    site.start()
    uid, transaction = generate_uid(), generate_uid()
    with Modality(site).association(CTImageStorage) as association:
        assert ask(association, uid, transaction=transaction, action_type=2) == 0x0123
        assert ask(association, uid, transaction=transaction, instance="1.2.3") == 0x0112
        assert ask(association, transaction=transaction) == 0x0115, "no instance"
        assert ask(association, uid, transaction="") == 0x0115, "no transaction"
        assert association.send_c_store(make_instances(1)[0]).Status == 0, "instances come on the same association"
        assert ask(association, uid, transaction=transaction) == 0
    (request,) = await requested(site)
    assert request.transaction_uid == transaction


async def test_a_peer_that_hung_up_is_called_again_and_again_and_a_restart_forgets_nothing(site: IngestSite) -> None:
    (port,) = free_ports(1)
    settings = {"commitment_callbacks": f"CT1=127.0.0.1:{port}"}
    site.start(**settings)
    modality, uid, transaction = Modality(site, port), generate_uid(), generate_uid()
    assert await asyncio.to_thread(modality.ask, uid, transaction=transaction) == 0
    (request,) = await requested(site)
    await decide(site, request)
    deadline = time.monotonic() + 60
    while not (vain := site.logged("commitment-not-reported")):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    assert vain[0]["reason"] == "peer-not-reached"
    assert site.process is not None
    site.process.kill()
    with modality.listening():
        site.start(**settings)
        event_type, report = await modality.report()
        assert (event_type, report.TransactionUID, named(report.ReferencedSOPSequence)) == (1, transaction, [uid])
        await until(lambda: [*site.spool.glob("commitments/*.reported")])
        await decide(site, request)
        assert await asyncio.to_thread(modality.ask, uid, transaction=transaction) == 0
        await modality.report()
    assert len(await site.events(CommitmentRequested)) == 1, "what was answered is not asked for again"


async def test_a_request_that_is_made_again_when_its_report_is_forgotten_is_told_and_reported_again(
    site: IngestSite,
) -> None:
    """Here within the time in which the bus passes over an event that it knows."""
    site.start()
    modality, uid, transaction = Modality(site), generate_uid(), generate_uid()
    with modality.association() as association:
        for times in (1, 2):
            assert await asyncio.to_thread(ask, association, uid, transaction=transaction) == 0
            request = (await requested(site, times))[-1]
            await decide(site, request)
            _, report = await modality.report()
            assert (report.TransactionUID, named(report.ReferencedSOPSequence)) == (transaction, [uid])
            await until(lambda: [*site.spool.glob("commitments/*.reported")])
            for path in site.spool.glob("commitments/*.reported"):
                path.unlink()


async def test_a_request_that_was_acknowledged_is_told_after_a_kill(site: IngestSite) -> None:
    site.start()
    folder = site.spool / "commitments"
    transaction = generate_uid()
    assert await asyncio.to_thread(Modality(site).ask, generate_uid(), transaction=transaction) == 0
    assert site.process is not None
    site.process.kill()
    site.start()
    (request,) = await requested(site)
    site.process.kill()
    asked = folder / f"{request.commitment_id}.asked"
    asked.write_text(f"\n{request.model_dump_json()}")
    site.start()
    await until(lambda: not asked.exists())
    assert len(await site.events(CommitmentRequested)) == 1, "the id is the same, so the stream has it once"


async def test_a_peer_that_fails_for_the_moment_is_told_again(site: IngestSite) -> None:
    site.start()
    modality = Modality(site)
    modality.status = 0x0110
    with modality.association() as association:
        assert await asyncio.to_thread(ask, association, generate_uid(), transaction=generate_uid()) == 0
        (request,) = await requested(site)
        await decide(site, request)
        await modality.report()
        modality.status = 0x0000
        await modality.report()
        await until(lambda: [*site.spool.glob("commitments/*.reported")])


async def test_a_peer_that_is_never_reached_is_shown(site: IngestSite) -> None:
    site.start(commitment_report_days=1 / 86_400)
    assert await asyncio.to_thread(Modality(site).ask, generate_uid(), transaction=generate_uid()) == 0
    (request,) = await requested(site)
    await decide(site, request)
    await until(lambda: site.logged("commitment-undelivered"))
    assert [path.stem for path in site.spool.glob("commitments/*.undelivered")] == [request.commitment_id]


async def until(reached: Any, timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while not reached():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


def subjects(site: IngestSite) -> list[str]:
    """The stream so far: what it is about, in the order in which the bus was told."""
    told = (json.loads(data)["type"] for data in site.told)
    return [subject for subject in told if subject in (BatchStored.subject, CommitmentRequested.subject)]


@both
@pytest.mark.parametrize("killed", [False, True], ids=["", "killed"])
async def test_what_was_stored_before_a_request_is_told_before_it(site: IngestSite, killed: bool) -> None:
    """Else the ledger might answer for what another has sent under the same UID."""
    waits = {"batch_quiet": 2, "batch_quiet_after_end": 2}
    site.start(**waits)
    (image,) = make_instances(1)
    with Modality(site).association(CTImageStorage) as association:
        assert association.send_c_store(image).Status == 0
        assert ask(association, image.SOPInstanceUID, transaction=generate_uid()) == 0
        assert ask(association, generate_uid(), transaction="1.2.9") == 0
    (other,) = await requested(site)
    assert other.transaction_uid == "1.2.9", "who asks for something else does not wait"
    if killed:
        assert site.process is not None
        site.process.kill()
        site.start(**waits)
    await requested(site, 2)
    assert subjects(site) == [CommitmentRequested.subject, BatchStored.subject, CommitmentRequested.subject]
