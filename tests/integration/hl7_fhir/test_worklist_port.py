"""The DICOM port of the worklist towards peers that are slow, too many or mad, and the service with its bus."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.events import StepReported
from contracts.events.common import Blob
from contracts.streams import documents
from services.hl7_fhir.adapters.dicom_association import Limits, Titles
from services.hl7_fhir.adapters.dicom_port import DicomPort
from services.hl7_fhir.adapters.listener import Port
from services.hl7_fhir.domain.worklist import dimse
from services.hl7_fhir.ports.worklist import Answers
from shared.dimse import command, greeting, response
from shared.messaging.plan import read_plan
from shared.messaging.provision import provision
from tests.support.hl7 import CANARIES, code_of, mllp_peer, orm
from tests.support.hl7_service import Hl7Service
from tests.support.nats import NatsServer
from tests.support.ports import free_ports
from tests.support.services import eventually, publisher
from tests.support.worklist import find, query

EXPLICIT = "1.2.840.10008.1.2.1"
RELEASE = dimse.pdu(dimse.RELEASE_RQ, bytes(4))


async def answers(*_: object, **__: object) -> AsyncIterator[Answers]:
    """Two small answers, after a moment as a database needs it."""
    for _ in range(2):
        await asyncio.sleep(0.05)
        yield Answers(dimse.PENDING, (b"\x10\x00\x10\x00LO\x02\x00P1",))
    await asyncio.sleep(0.05)
    yield Answers(dimse.SUCCESS, ())


@contextlib.asynccontextmanager
async def listening(**limits: float) -> AsyncIterator[DicomPort]:
    port = DicomPort(
        ports=[Port("127.0.0.1", 0)],
        titles=Titles("CAUSEWAY"),
        find=answers,
        limits=Limits(**limits),  # type: ignore[arg-type]  # each case gives one limit
    )
    running = asyncio.create_task(port.run())
    await port.listening.wait()
    yield port
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def hello(called: str = "CAUSEWAY") -> bytes:
    return greeting({1: (dimse.VERIFICATION, EXPLICIT), 3: (dimse.WORKLIST, EXPLICIT)}, "CT1", called)


def request(field: int, *, context: int = 1, data: bool = False, number: int = 1) -> bytes:
    uid = dimse.VERIFICATION if context == 1 else dimse.WORKLIST
    uid_value = uid.encode() + b"\0" * (len(uid) % 2)
    found = struct.pack("<HHI", 0, 2, len(uid_value)) + uid_value
    for element, value in ((0x0100, field), (0x0110, number), (0x0800, 1 if data else 0x0101)):
        found += struct.pack("<HHIH", 0, element, 2, value)
    return b"".join(bytes(piece) for piece in command(context, found))


async def talk(port: DicomPort, sent: bytes, *, end: bool = False) -> bytes:
    """Everything that comes back until the port hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
    writer.write(sent)
    if end:
        writer.write_eof()
    try:
        async with asyncio.timeout(20):
            return await reader.read(1 << 20)
    finally:
        writer.close()


def kinds(received: bytes) -> list[int]:
    """The types of the PDUs."""
    found = []
    while len(received) >= 6:
        kind, length = dimse.header(received[:6])
        found.append(kind)
        received = received[6 + length :]
    return found


async def everything(port: DicomPort, sent: bytes) -> list[int]:
    """The PDUs of a conversation that the peer ends by closing its side."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
    writer.write(sent)
    received = bytearray()
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(20):
            while chunk := await reader.read(1 << 16):
                received += chunk
    writer.close()
    return kinds(bytes(received))


async def test_an_echo_and_a_release_are_answered() -> None:
    async with listening() as port:
        found = await everything(port, hello() + request(dimse.C_ECHO) + RELEASE)
        assert found == [dimse.ASSOCIATE_AC, dimse.DATA, dimse.RELEASE_RP]


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x01\x00\xff\xff\xff\xff",
        dimse.pdu(dimse.ASSOCIATE_RQ, b"short"),
        dimse.pdu(dimse.ASSOCIATE_RQ, bytes(68) + b"\x20\x00\xff\xff"),
        hello() + dimse.pdu(dimse.DATA, b"\x00\x00\xff\xff\x01\x03"),
        hello() + dimse.pdu(dimse.DATA, b"\x00\x00\x00\x02\x09\x03"),
        hello() + b"\x04\x00\x7f\xff\xff\xff",
        hello() + dimse.pdu(9, b""),
        hello() + hello(),
        hello() + request(dimse.C_FIND, context=3, data=True) + request(dimse.C_ECHO),
    ],
)
async def test_what_breaks_the_protocol_is_aborted(sent: bytes) -> None:
    async with listening() as port:
        assert (await everything(port, sent))[-1] == dimse.ABORT
        assert await everything(port, hello() + RELEASE) == [dimse.ASSOCIATE_AC, dimse.RELEASE_RP]


async def test_an_identifier_has_a_bound() -> None:
    async with listening(identifier=1000) as port:
        sent = hello() + request(dimse.C_FIND, context=3, data=True)
        sent += dimse.data_pdus(3, bytes(2000), is_command=False, longest=500)
        assert (await everything(port, sent))[-1] == dimse.ABORT


async def test_a_peer_that_says_nothing_is_dropped() -> None:
    async with listening(first=0.2, idle=0.2, message=0.2) as port:
        for sent in (
            b"",
            b"\x01\x00\x00",
            hello(),
            hello() + b"\x04\x00",
            hello() + request(dimse.C_FIND, context=3, data=True),
        ):
            assert (await everything(port, sent))[-1:] == [dimse.ABORT]


async def test_too_many_associations_are_refused_for_the_moment() -> None:
    async with listening(associations=2) as port:
        held = [await asyncio.open_connection("127.0.0.1", port.port) for _ in range(2)]
        await asyncio.sleep(0.1)
        assert await everything(port, hello()) == [dimse.ASSOCIATE_RJ]
        for _, writer in held:
            writer.close()
            await writer.wait_closed()
        await eventually(lambda: _is_welcome(port))


async def _is_welcome(port: DicomPort) -> bool:
    return await everything(port, hello() + RELEASE) == [dimse.ASSOCIATE_AC, dimse.RELEASE_RP]


async def test_requests_that_follow_at_once_are_answered_one_after_the_other() -> None:
    ask = request(dimse.C_FIND, context=3, data=True) + dimse.data_pdus(3, b"", is_command=False, longest=500)
    async with listening() as port:
        found = await everything(port, hello() + ask + request(dimse.C_ECHO, number=2) + RELEASE)
        assert found == [dimse.ASSOCIATE_AC, *[dimse.DATA] * 6, dimse.RELEASE_RP]


def cancel(number: int) -> bytes:
    told = ((0x0100, dimse.C_CANCEL), (0x0120, number), (0x0800, 0x0101))
    found = b"".join(struct.pack("<HHIH", 0, element, 2, value) for element, value in told)
    return b"".join(bytes(piece) for piece in command(3, found))


async def test_a_query_is_cancelled_between_its_answers_and_the_association_goes_on() -> None:
    ask = request(dimse.C_FIND, context=3, data=True, number=7) + dimse.data_pdus(3, b"", is_command=False, longest=500)
    async with listening() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
        writer.write(hello() + ask + cancel(9) + cancel(7))
        statuses = []
        while dimse.CANCELLED not in statuses:
            kind, length = dimse.header(await asyncio.wait_for(reader.readexactly(6), 20))
            body = await reader.readexactly(length)
            if kind == dimse.DATA:
                statuses += [response(piece).status for _, control, piece in dimse.values(body) if control & 1]
        assert set(statuses[:-1]) <= {dimse.PENDING}
        writer.write(RELEASE)
        assert kinds(await asyncio.wait_for(reader.read(), 20)) == [dimse.RELEASE_RP]
        writer.close()


async def test_a_cancel_of_what_is_over_is_ignored() -> None:
    sent = hello() + cancel(9) + request(dimse.C_ECHO) + RELEASE
    async with listening() as port:
        assert await everything(port, sent) == [dimse.ASSOCIATE_AC, dimse.DATA, dimse.RELEASE_RP]


async def test_other_requests_are_answered_as_unrecognized() -> None:
    async with listening() as port:
        found = await everything(port, hello() + request(0x0001, context=3) + RELEASE)
        assert found == [dimse.ASSOCIATE_AC, dimse.DATA, dimse.RELEASE_RP]


pieces = st.sampled_from([hello(), request(dimse.C_ECHO), request(dimse.C_FIND, context=3, data=True), RELEASE])
streams = st.lists(pieces | st.binary(max_size=60), max_size=6).map(b"".join)


@given(sent=streams, at=st.integers(0, 500), byte=st.integers(0, 255))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_sent_the_port_goes_on(sent: bytes, at: int, byte: int) -> None:
    changed = bytearray(sent)
    if at < len(changed):
        changed[at] = byte

    async def run() -> None:
        async with listening(first=0.3, idle=0.3, message=0.3) as port:
            await everything(port, bytes(changed))
            assert await everything(port, hello() + RELEASE) == [dimse.ASSOCIATE_AC, dimse.RELEASE_RP]

    asyncio.run(run())


@pytest.fixture
async def service(tmp_path: Path, nats_server: NatsServer) -> AsyncIterator[Hl7Service]:
    (port,) = free_ports(1)
    found = Hl7Service(tmp_path, nats_server, worklist_port=str(port))
    found.worklist = port  # type: ignore[attr-defined]  # the service with its port, for the tests below
    async with nats_server.jetstream() as jetstream:
        await provision(jetstream, read_plan(*documents()), {"target": ["onsite"], "destination": ["old-pacs"]})
    await asyncio.to_thread(found.server.start)
    yield found
    await asyncio.to_thread(found.server.stop)


async def test_an_order_is_asked_for_moved_by_a_report_on_the_bus_and_told_in_fhir(
    service: Hl7Service, nats_server: NatsServer
) -> None:
    name, patient, born, _, accession = CANARIES
    content = orm(pid=f"PID|1||{patient}^^^HOSP^MR||{name}^X||{born}|F", obr18=accession)
    async with mllp_peer(service.mllp) as peer:
        assert code_of(await peer.send(content)) == "AA"
    port: int = service.worklist  # type: ignore[attr-defined]  # the service with its port, for the tests below
    by_name = query(PatientName=f"{name}*", AccessionNumber=accession)

    async def is_listed() -> bool:
        return [str(each.PatientName) for each in (await asyncio.to_thread(find, port, by_name))[1]] == [f"{name}^X"]

    await eventually(is_listed, 60)
    event = StepReported(
        step_ref="a" * 32,
        number=1,
        kind="created",
        state="in-progress",
        study_uids=("1.2.840.99.1",),
        study_refs=("b" * 32,),
        instances=0,
        report=Blob(store="landing", key="c" * 32, size=10),
        received=datetime.now(UTC),
    )
    async with publisher(nats_server, "dicom_ingest") as bus:
        await bus.publish(event, id="d" * 32)
    asked = query(step_ScheduledProcedureStepStatus="STARTED", PatientID=patient)

    async def is_started() -> bool:
        return len((await asyncio.to_thread(find, port, asked))[1]) == 1

    await eventually(is_started, 60)
    (entry,) = (await service.get("/fhir/Task")).json()["entry"]
    assert entry["resource"]["status"] == "in-progress"
    metrics = (await service.get("/metrics")).text
    assert "causeway_worklist_queries_total" in metrics
    await asyncio.to_thread(service.server.stop)
    logs, spans = service.log.read_text(), service.spans.read_text()
    assert "worklist-queried" in logs
    for canary in CANARIES:
        for where in (logs, spans, metrics):
            assert canary not in where
