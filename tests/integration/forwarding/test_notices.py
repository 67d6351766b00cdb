"""A RIS behind forwarding: reports on procedure steps in their order, and what can be retrieved (PS3.4 F, R)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import InstanceAvailabilityNotification, ModalityPerformedProcedureStep

from contracts.events import Blob, ProvenCopy, StepReported, StudyArchived
from services.dicom_ingest.domain.step_report import as_file
from shared.storage import FilesystemStore, put_parts
from tests.integration.forwarding.site import ForwardingSite, eventually, settle
from tests.support.certificates import Authority
from tests.support.ports import free_ports
from tests.support.services import publisher

CT = "1.2.840.10008.5.1.4.1.1.2"


class Ris:
    """A RIS of pynetdicom: what it was told, and what it says to that."""

    def __init__(self, port: int | None = None, syntaxes: Any = None) -> None:
        self.port = port or free_ports(1)[0]
        self.syntaxes = syntaxes or [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
        self.heard: list[tuple[str, str, Dataset]] = []
        self.raw: list[bytes] = []
        self.answers: list[int | Dataset] = []

    def created(self, event: evt.Event) -> tuple[Any, Dataset | None]:
        return self._hear("create", event.request.AffectedSOPInstanceUID, event.attribute_list, event)

    def changed(self, event: evt.Event) -> tuple[Any, Dataset | None]:
        return self._hear("set", event.request.RequestedSOPInstanceUID, event.modification_list, event)

    def _hear(self, what: str, uid: str, said: Dataset, event: evt.Event) -> tuple[Any, Dataset | None]:
        request = event.request
        data = request.AttributeList if what == "create" else request.ModificationList
        self.raw.append(data.getvalue())
        self.heard.append((what, str(uid), said))
        status = self.answers.pop(0) if self.answers else 0x0000
        answered = Dataset()
        answered.PerformedProcedureStepID = "what it has now"
        return status, answered if status == 0 else None

    @contextmanager
    def listening(self, **options: Any) -> Iterator["Ris"]:
        entity = AE("RIS")
        for service in (ModalityPerformedProcedureStep, InstanceAvailabilityNotification):
            entity.add_supported_context(service, self.syntaxes)
        handlers = [(evt.EVT_N_CREATE, self.created), (evt.EVT_N_SET, self.changed)]
        server = entity.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers, **options)
        try:
            yield self
        finally:
            server.shutdown()

    def told(self) -> list[tuple[str, str]]:
        return [(what, uid) for what, uid, _ in self.heard]


def ris(port: int, kind: str = "mpps", **others: Any) -> dict[str, Any]:
    """A destination on this machine."""
    return {"kind": kind, "host": "127.0.0.1", "port": port, "called_ae": "RIS", "timeout": 5, **others}


def write(site: ForwardingSite, **named: dict[str, Any]) -> None:
    """``destinations.yaml`` as it is given."""
    import yaml

    (site.folder / "destinations.yaml").write_text(yaml.safe_dump({"destinations": named}))
    site.names = list(named)


def reported(status: str) -> bytes:
    """A report's data set in Explicit VR Little Endian."""
    said = Dataset()
    said.SpecificCharacterSet = "ISO_IR 192"
    said.PerformedProcedureStepStatus = status
    said.PatientName = "Müller^Jörg"
    said.PerformedSeriesSequence = []
    made = encode(said, is_implicit_vr=False, is_little_endian=True)
    assert made is not None
    return made


async def report(
    site: ForwardingSite, uid: str, number: int, *, lost: bool = False, when: datetime | None = None
) -> bytes:
    """Land a report and say so, as ingest does."""
    data = reported("IN PROGRESS" if number == 1 else "COMPLETED")
    file = as_file(uid, ExplicitVRLittleEndian, data)
    key = f"identified/{site.site_key.token('step', uid)}/{number}/report"
    if not lost:
        await put_parts(site.landing, key, file)
    event = StepReported(
        step_ref=site.site_key.token("step", uid),
        number=number,
        kind="created" if number == 1 else "set",
        state="in-progress" if number == 1 else "completed",
        study_uids=("2.25.1000",),
        study_refs=("0" * 32,),
        instances=0,
        report=Blob(store="landing", key=key, size=len(file)),
        received=when or datetime.now(UTC),
    )
    async with publisher(site.nats, "dicom_ingest") as bus:
        await bus.publish(event, id=site.site_key.event_id(event.subject, uid, number))
    return data


async def row(site: ForwardingSite, name: str = "ris") -> tuple[Any, ...]:
    found = await site.row(name)
    return found["delivered"], found["failed"], found["backlog"], found["away"]


async def stands(site: ForwardingSite, *expected: Any, name: str = "ris") -> None:
    """Wait until (delivered, failed, backlog, away) is so."""

    async def look() -> bool:
        return await row(site, name) == expected

    await eventually(look)


async def test_a_ris_gets_the_reports_of_every_step_as_they_came_and_in_order(site: ForwardingSite) -> None:
    with Ris().listening() as behind:
        write(site, ris=ris(behind.port))
        one, other = generate_uid(), generate_uid()
        async with site.running():
            sent = [await report(site, uid, number) for uid, number in ((one, 1), (other, 1), (one, 2), (other, 2))]
            await stands(site, 4, 0, 0, None)
            assert (await site.row("ris"))["age"] is None
    assert behind.told() == [("create", one), ("create", other), ("set", one), ("set", other)]
    assert behind.raw == sent, "byte for byte"
    assert await site.dead_letters() == 0


async def test_a_ris_that_is_away_gets_everything_once_when_it_is_back(site: ForwardingSite) -> None:
    behind, uid = Ris(), generate_uid()
    write(site, ris=ris(behind.port))
    async with site.running():
        await report(site, uid, 1)
        await report(site, uid, 2)
        await stands(site, 0, 0, 2, "not-reachable")
    async with site.running():
        await stands(site, 0, 0, 2, "not-reachable")
        with behind.listening():
            await stands(site, 2, 0, 0, None)
    assert behind.told() == [("create", uid), ("set", uid)]


async def test_a_held_ris_waits_until_it_is_released(site: ForwardingSite) -> None:
    with Ris().listening() as behind:
        write(site, ris=ris(behind.port, held=True))
        async with site.running():
            await report(site, generate_uid(), 1)
            await stands(site, 0, 0, 1, None)
            await settle()
            assert behind.told() == []
            await site.ask("/ris/release", post=True)
            await stands(site, 1, 0, 0, None)
    assert len(behind.told()) == 1


async def test_a_failure_of_the_moment_is_tried_again_and_a_final_one_is_shown(site: ForwardingSite) -> None:
    """And sent again, in its order, when an operator asks for it."""
    with Ris().listening() as behind:
        behind.answers = [0x0110, 0x0213, 0x0000, 0x0106, 0x0112]
        write(site, ris=ris(behind.port))
        good, bad = generate_uid(), generate_uid()
        async with site.running():
            await report(site, good, 1)
            await stands(site, 1, 0, 0, None)
            assert len(behind.told()) == 3
            await report(site, bad, 1)
            await report(site, bad, 2)
            await stands(site, 1, 2, 0, None)
            failures = (await site.ask("/ris/failures"))["failures"]
            ref = site.site_key.token("step", bad)
            assert failures == [
                {"batch_id": ref, "sop_instance_uid": bad, "reason": "status-0106"},
                {"batch_id": ref, "sop_instance_uid": bad, "reason": "status-0112"},
            ]
            assert await site.ask("/ris/retry", post=True) == {"instances": 2}
            await stands(site, 3, 0, 0, None)
    assert behind.told()[-2:] == [("create", bad), ("set", bad)]


async def test_what_arrived_although_its_answer_was_lost_counts_as_taken(site: ForwardingSite) -> None:
    ended = Dataset()
    ended.Status, ended.ErrorID = 0x0110, 0xA710
    with Ris().listening() as behind:
        behind.answers = [0x0213, 0x0111, 0x0213, ended, ended]
        write(site, ris=ris(behind.port))
        uid = generate_uid()
        async with site.running():
            await report(site, uid, 1)
            await report(site, uid, 2)
            await stands(site, 2, 0, 0, None)
            await report(site, uid, 3)
            await stands(site, 2, 1, 0, None)
            (failure,) = (await site.ask("/ris/failures"))["failures"]
    assert failure["reason"] == "step-has-ended", "at the first attempt nothing of ours ended it"


async def test_a_ris_that_takes_another_syntax_gets_the_report_encoded_anew(site: ForwardingSite) -> None:
    with Ris(syntaxes=[ImplicitVRLittleEndian]).listening() as behind:
        write(site, ris=ris(behind.port))
        async with site.running():
            await report(site, generate_uid(), 1)
            await stands(site, 1, 0, 0, None)
    ((_, _, said),) = behind.heard
    assert (str(said.PatientName), said.PerformedProcedureStepStatus) == ("Müller^Jörg", "IN PROGRESS")


async def test_a_ris_that_offers_no_steps_is_waited_for(site: ForwardingSite) -> None:
    """It speaks of the RIS, not of the report."""
    behind = Ris()
    behind.syntaxes = ["1.2.840.10008.1.2.4.50"]
    write(site, ris=ris(behind.port))
    async with site.running():
        with behind.listening():
            await report(site, generate_uid(), 1)
            await stands(site, 0, 0, 1, "transfer-syntax-refused")
        behind.syntaxes = [ExplicitVRLittleEndian]
        with behind.listening():
            await stands(site, 1, 0, 0, None)


async def test_a_report_that_is_lost_is_shown_and_holds_up_no_other(
    site: ForwardingSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.forwarding.handlers.notifying.PATIENCE", 1)
    with Ris().listening() as behind:
        write(site, ris=ris(behind.port, since=datetime.now(UTC).isoformat()))
        uid = generate_uid()
        async with site.running():
            await report(site, generate_uid(), 1, when=datetime.now(UTC) - timedelta(days=1))
            await report(site, generate_uid(), 1, lost=True)
            await report(site, uid, 1)
            await stands(site, 1, 1, 0, None)
            (failure,) = (await site.ask("/ris/failures"))["failures"]
    assert failure["reason"] == "input-missing"
    assert behind.told() == [("create", uid)], "what is older than `since` is not told"


async def test_a_ris_is_told_over_tls(site: ForwardingSite, tmp_path: Any) -> None:
    import ssl

    authority = Authority(tmp_path)
    pair = authority.issue("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    with Ris().listening(ssl_context=context) as behind:
        write(site, ris=ris(behind.port, host="localhost", tls={"ca_file": str(authority.path)}))
        async with site.running():
            await report(site, generate_uid(), 1)
            await stands(site, 1, 0, 0, None)


async def archive(site: ForwardingSite, *, form: str = "identified", revision: int = 1, series: Any = None) -> None:
    """Say that a study is archived, as the catalogue does."""
    versions = ((1, 1), (2, 1), (2, 2))
    instances = [{"sop_instance_uid": f"2.25.7{n}", "sop_class_uid": CT, "version": v} for n, v in versions]
    listed = [{"series_uid": "2.25.2000", "modality": "CT", "instances": instances}] if series is None else series
    document = json.dumps({"format": "causeway.study-summary/1", "study_uid": "2.25.1000", "series": listed}).encode()
    key = f"study/{form}-{revision}"
    await put_parts(FilesystemStore(site.folder / "summaries"), key, document)
    now = datetime.now(UTC)
    copy = ProvenCopy(sealed_id="s", pack_id="p", form=form, target="cloud-a", generation=1, proven=now)
    event = StudyArchived(
        study_uid="2.25.1000",
        study_ref="0" * 32,
        revision=revision,
        instances=2,
        copies=(copy,),
        withheld=0,
        summary=Blob(store="summaries", key=key, size=len(document)),
        archived=now,
    )
    async with publisher(site.nats, "catalog") as bus:
        await bus.publish(event, id=site.site_key.event_id(event.subject, form, revision))


async def test_a_ris_is_told_of_what_can_be_retrieved_once_a_study_is_archived(site: ForwardingSite) -> None:
    """A study without an identified copy, or without a series, has nothing to be retrieved."""
    with Ris().listening() as behind:
        write(site, ris=ris(behind.port, "ian", retrieve_ae="PACS"), steps=ris(behind.port))
        async with site.running(summaries_url=f"file://{site.folder / 'summaries'}"):
            await archive(site, form="deidentified")
            await archive(site, revision=2, series=[])
            await archive(site, revision=3)
            behind.answers = [0x0111]
            await archive(site, revision=4)
            await stands(site, 2, 0, 0, None)
            await stands(site, 0, 0, 0, None, name="steps")
    (what, uid, said), (_, again, _) = behind.heard
    assert what == "create" and uid.startswith("2.25.") and again != uid
    assert said.StudyInstanceUID == "2.25.1000" and len(said.ReferencedPerformedProcedureStepSequence) == 0
    (series,) = said.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == "2.25.2000"
    assert [
        (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID, item.InstanceAvailability, item.RetrieveAETitle)
        for item in series.ReferencedSOPSequence
    ] == [(CT, "2.25.71", "ONLINE", "PACS"), (CT, "2.25.72", "ONLINE", "PACS")]


async def test_a_killed_service_goes_on_where_it_was(site: ForwardingSite) -> None:
    with Ris().listening() as behind:
        write(site, ris=ris(behind.port))
        uids = [generate_uid() for _ in range(8)]
        await site.provision(ack_wait=1)
        process = site.process()
        for uid in uids:
            await report(site, uid, 1)
        await eventually(lambda: len(behind.heard) >= 3)
        process.kill()
        again = site.process()
        await stands(site, 8, 0, 0, None)
        again.stop()
    told = [uid for _, uid in behind.told()]
    assert list(dict.fromkeys(told)) == uids and len(told) <= len(uids) + 1
