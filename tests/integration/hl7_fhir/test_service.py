"""The service as a process on a real bus: MLLP in, events and FHIR out, whatever dies in between."""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli.hl7 import messages as in_file
from services.hl7_fhir.domain.intake.acknowledgement import codes
from services.hl7_fhir.domain.messages.envelope import Envelope
from tests.support.corpus import data_dir
from tests.support.fhir import assert_valid
from tests.support.hl7 import CANARIES, END, START, adt, code_of, mllp_peer, omi, orm
from tests.support.hl7_service import Hl7Service
from tests.support.nats import NatsServer
from tests.support.services import eventually

#: How often it is killed; more by CAUSEWAY_HL7_CRASHES.
ROUNDS = int(os.environ.get("CAUSEWAY_HL7_CRASHES", "2"))


@pytest.fixture
async def service(tmp_path: Path, nats_server: NatsServer) -> AsyncIterator[Hl7Service]:
    found = Hl7Service(tmp_path, nats_server, mllp_message_timeout="2")
    await found.provision()
    await asyncio.to_thread(found.server.start)
    yield found
    await asyncio.to_thread(found.server.stop)


async def send(service: Hl7Service, *contents: bytes) -> list[str]:
    """MSA-1 of each answer, over one connection."""
    async with mllp_peer(service.mllp) as peer:
        return [code_of(await peer.send(content)) for content in contents]


async def events_of(service: Hl7Service, count: int, within: float = 90) -> list[dict]:
    """The events on the bus once there are ``count``."""

    async def are_there() -> bool:
        await asyncio.sleep(0.1)
        return await service.event_count() >= count

    await eventually(are_there, within)
    return await service.events()


async def test_an_order_is_acknowledged_told_on_the_bus_and_readable_in_fhir(service: Hl7Service) -> None:
    assert await send(service, orm()) == ["AA"]
    registered, placed = await events_of(service, 2)
    assert registered["type"] == "clinical.patient.registered.v1"
    assert placed["type"] == "clinical.order.placed.v1"
    assert placed["data"]["accession_token"] == service.site_key.accession_token("SITE", "ACC1")
    assert placed["data"]["patient_token"] == service.site_key.patient_token("HOSP", "P1")
    request = (await service.get(f"/fhir/ServiceRequest/{placed['data']['order_ref']}")).json()
    assert request["subject"]["reference"] == f"Patient/{placed['data']['patient_ref']}"
    patient = (await service.get(f"/fhir/{request['subject']['reference']}")).json()
    assert patient["name"] == [{"family": "Doe", "given": ["Jane", "Q"]}]
    assert_valid(request)
    assert_valid(patient)


async def test_a_read_has_fhirs_media_type_a_version_and_a_condition(service: Hl7Service) -> None:
    await send(service, adt(control_id="1"), adt("A08", control_id="2", pid="PID|1||P1^^^HOSP^MR||Roe^Jane"))
    found = (await service.get("/fhir/Patient?identifier=urn:x-causeway:issuer:HOSP|P1")).json()
    path = f"/fhir/Patient/{found['entry'][0]['resource']['id']}"
    answer = await service.get(path)
    assert answer.headers["content-type"].split(";")[0] == "application/fhir+json"
    assert (answer.headers["etag"], answer.json()["meta"]["versionId"]) == ('W/"2"', "2")
    assert answer.headers["last-modified"].endswith("GMT")
    assert (await service.get(path, **{"If-None-Match": 'W/"2"'})).status_code == 304
    assert (await service.get(f"{path}/_history/1")).json()["name"][0]["family"] == "Doe"
    assert_valid(found)


async def test_searches_find_orders_by_number_and_patient_in_pages(service: Hl7Service) -> None:
    await send(
        service, *(orm(control_id=f"{n}", orc2=f"PL{n}^HIS", obr2=f"PL{n}^HIS", orc3="", obr3="") for n in range(3))
    )
    patient = (await service.get("/fhir/Patient?identifier=P1")).json()["entry"][0]["resource"]["id"]
    page = (await service.get(f"/fhir/ServiceRequest?patient={patient}&_count=2")).json()
    assert (page["total"], len(page["entry"])) == (3, 2)
    links = {link["relation"]: link["url"] for link in page["link"]}
    rest = (await service.get(links["next"].removeprefix(service.http))).json()
    found = {entry["resource"]["identifier"][0]["value"] for entry in page["entry"] + rest["entry"]}
    assert found == {"PL0", "PL1", "PL2"}
    one = (await service.get("/fhir/ServiceRequest?identifier=urn:x-causeway:issuer:HIS|PL1")).json()
    assert one["total"] == 1
    assert (await service.get("/fhir/ServiceRequest?identifier=urn:x-causeway:issuer:RIS|PL1")).json()["total"] == 0


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/fhir/Patient/nobody", 404),
        ("/fhir/Patient/nobody/_history/x", 404),
        ("/fhir/Medication", 404),
        ("/fhir/Patient?colour=red", 400),
        ("/fhir/Patient?_cursor=x", 400),
        ("/fhir/Patient?identifier=a|b|c", 400),
        ("/fhir/Patient?_format=xml", 406),
    ],
)
async def test_what_cannot_be_served_is_an_operation_outcome(service: Hl7Service, path: str, status: int) -> None:
    answer = await service.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"].split(";")[0] == "application/fhir+json"
    assert_valid(answer.json())


async def test_the_capability_statement_says_what_is_there(service: Hl7Service) -> None:
    stated = (await service.get("/fhir/metadata")).json()
    assert_valid(stated)
    assert stated["fhirVersion"] == "4.0.1"
    for resource in stated["rest"][0]["resource"]:
        for parameter in resource["searchParam"]:
            value = "2026" if parameter["type"] == "date" else "x"
            answer = await service.get(f"/fhir/{resource['type']}?{parameter['name']}={value}")
            assert answer.status_code == 200, parameter["name"]


async def test_an_outage_of_the_bus_stops_no_message(service: Hl7Service) -> None:
    service.nats.kill()
    assert await send(service, *(adt("A01", control_id=f"{n}", pid=f"PID|1||P{n}^^^H") for n in range(5))) == ["AA"] * 5
    assert (await service.get("/fhir/Patient")).json()["total"] == 5
    await asyncio.to_thread(service.nats.start)
    told = await events_of(service, 5)
    assert len({event["id"] for event in told}) == 5


async def test_a_long_outage_of_the_bus_and_a_death_within_it_lose_nothing(service: Hl7Service) -> None:
    feed = [adt("A01", control_id=f"{n}", pid=f"PID|1||P{n}^^^H") for n in range(400)]
    service.nats.kill()
    assert await send(service, *feed[:200]) == ["AA"] * 200
    await asyncio.to_thread(service.server.kill)
    await asyncio.to_thread(service.server.start)
    assert await send(service, *feed[200:]) == ["AA"] * 200
    await asyncio.to_thread(service.nats.start)
    told = Counter(event["data"]["patient_ref"] for event in await events_of(service, 400, within=120))
    assert told == dict.fromkeys((await _patients(service)).values(), 1)


async def test_it_starts_and_takes_messages_while_the_bus_is_away(tmp_path: Path, nats_server: NatsServer) -> None:
    service = Hl7Service(tmp_path, nats_server)
    await service.provision()
    nats_server.kill()
    await asyncio.to_thread(service.server.start)
    assert await send(service, adt()) == ["AA"]
    await asyncio.to_thread(nats_server.start)
    assert len(await events_of(service, 1)) == 1
    await asyncio.to_thread(service.server.stop)


@pytest.fixture(params=["sqlite", "postgresql"])
async def mortal(request: pytest.FixtureRequest, tmp_path: Path, nats_server: NatsServer) -> AsyncIterator[Hl7Service]:
    """The service on either database."""
    urls = {"database_url": request.getfixturevalue("postgres")} if request.param == "postgresql" else {}
    found = Hl7Service(tmp_path, nats_server, **urls)
    await found.provision()
    await asyncio.to_thread(found.server.start)
    yield found
    await asyncio.to_thread(found.server.stop)


@pytest.mark.slow
async def test_what_was_acknowledged_survives_sigkill_and_is_told_once(mortal: Hl7Service) -> None:
    service, accepted, chance = mortal, set[str](), random.Random(4)
    for round_ in range(ROUNDS):
        sending = [asyncio.create_task(_send_until_it_dies(service, accepted, f"{round_}-{n}")) for n in range(3)]
        seen, enough = len(accepted), chance.randrange(60)
        await eventually(lambda seen=seen, enough=enough: len(accepted) > seen + enough)
        await asyncio.sleep(chance.random() * 0.05)
        await asyncio.to_thread(service.server.kill)
        await asyncio.gather(*sending)
        await asyncio.to_thread(service.server.start)
    known = await _patients(service)
    assert accepted <= known.keys()
    # What the dead process had claimed from the outbox is free again after half a minute.
    told = Counter(event["data"]["patient_ref"] for event in await events_of(service, len(known), within=90))
    assert told == dict.fromkeys(known.values(), 1)


async def _patients(service: Hl7Service) -> dict[str, str]:
    """Every patient's id in FHIR by its medical record number, page by page."""
    known: dict[str, str] = {}
    path = "/fhir/Patient?_count=200"
    while path:
        page = (await service.get(path)).json()
        found = [entry["resource"] for entry in page.get("entry", [])]
        known |= {patient["identifier"][0]["value"]: patient["id"] for patient in found}
        urls = [link["url"] for link in page["link"] if link["relation"] == "next"]
        path = urls[0].removeprefix(service.http) if urls else ""
    return known


async def _send_until_it_dies(service: Hl7Service, accepted: set[str], name: str) -> None:
    async with mllp_peer(service.mllp) as peer:
        for number in range(10_000):
            patient = f"P{name}-{number}"
            try:
                answer = await peer.send(adt("A01", control_id=patient, pid=f"PID|1||{patient}^^^H"))
            except ConnectionError:
                return
            if not answer:
                return
            assert code_of(answer) == "AA"
            accepted.add(patient)


async def test_hostile_peers_are_answered_or_dropped_and_hold_up_nobody(service: Hl7Service) -> None:
    async with (
        mllp_peer(service.mllp) as endless,
        mllp_peer(service.mllp) as silent,
        mllp_peer(service.mllp) as garbage,
        mllp_peer(service.mllp) as hostile,
    ):
        await silent.write(START + b"MSH|^~\\&|and then nothing")
        await garbage.write(b"\x00\xff" * 2000)
        flood = asyncio.create_task(_flood(endless))
        assert await send(service, *(adt(control_id=f"{n}") for n in range(5))) == ["AA"] * 5
        for pid in ("A~" * 40_000, "A^" * 40_000, "|" * 80_000, "\\" * 80_000):
            assert code_of(await hostile.send(adt(control_id="H", pid="PID|1||" + pid))) == "AE"
        assert code_of(await hostile.send(b"\xde\xad\xbe\xef" * 1000)) == "AE"
        assert b"message-too-large" in await flood
        assert await silent.answer() == b""
        assert await garbage.answer() == b""
    assert await send(service, adt(control_id="last")) == ["AA"]


async def _flood(peer) -> bytes:
    """The answer to a frame without end."""
    try:
        await peer.write(START + adt())
        for _ in range(200):
            await peer.write(b"x" * 65_536)
    except ConnectionError:
        pass
    return await peer.answer()


async def test_large_messages_are_kept_in_bounded_memory(service: Hl7Service) -> None:
    reports = [
        adt("A08", control_id=f"{number}") + b"OBX|1|ED|PDF||^application^pdf^Base64^" + b"QUJD" * 2_400_000 + b"\r"
        for number in range(4)
    ]
    assert await asyncio.gather(*(send(service, report) for report in reports)) == [["AA"]] * 4
    assert service.server.process is not None
    status = Path(f"/proc/{service.server.process.pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak < 250_000


async def test_no_identifier_leaves_the_message_the_database_and_fhir(service: Hl7Service) -> None:
    name, patient, born, _, accession = CANARIES
    pid = f"PID|1||{patient}^^^HOSP^MR||{name}^{name}||{born}|F"
    sent = [
        adt(control_id=patient, pid=pid),
        orm(control_id="2", pid=pid, obr18=accession, orc2=f"{accession}^HIS", obr2=f"{accession}^HIS"),
        omi(control_id="3", ipc=f"IPC|{accession}^HOSP||1.2.3^{name}"),
        adt(f"{name}", control_id="4", pid=pid),
        adt(control_id="5", pid=pid).replace(b"ADT^A04", f"{name}^{patient}".encode()),
        orm(control_id="6", pid=pid, obr18=accession).replace(b"ORC|NW", b"ORC|"),
        adt(control_id="7", pid=f"PID|1||{patient}~{'x~' * 2000}||{name}"),
        adt(control_id="8", pid=pid).replace(b"\rPV1", f"\r{name} {patient}\rPV1".encode()),
        f"{name} {patient} {born} {accession}".encode(),
        adt(control_id="9", pid=pid).replace(name.encode(), name.encode() + b"\xff"),
    ]
    async with mllp_peer(service.mllp) as peer:
        answers = [await peer.send(content) for content in sent]
    told = await events_of(service, 4)
    system = "urn:x-causeway:issuer:HOSP"
    assert (await service.get(f"/fhir/Patient?identifier={system}|{patient}")).json()["total"] == 1
    await service.get(f"/fhir/Patient?name={name}")
    await service.get(f"/fhir/Patient/{patient}")
    metrics = (await service.get("/metrics")).text
    await asyncio.to_thread(service.server.stop)
    logs, spans = service.log.read_text(), service.spans.read_text()
    assert "receive hl7" in spans
    assert "hl7-message-answered" in logs
    assert "patient-data-read" in logs
    errors = b"".join(line for answer in answers for line in answer.split(b"\r") if line.startswith(b"ERR"))
    for canary in CANARIES:
        for where in (logs, spans, metrics, str(told), errors.decode("latin-1")):
            assert canary not in where


async def test_a_trace_leads_from_the_message_to_its_events(service: Hl7Service) -> None:
    await send(service, orm())
    told = await events_of(service, 2)
    await asyncio.to_thread(service.server.stop)
    received = next(line for line in service.spans.read_text().splitlines() if "receive hl7" in line)
    assert {event["traceparent"].split("-")[1] in received for event in told} == {True}


async def test_the_corpora_are_answered_as_each_message_asks_and_again_when_sent_again(service: Hl7Service) -> None:
    folder = data_dir() / "hl7"
    files = [path for name in ("fhir_converter/messages", "imaging") for path in sorted((folder / name).iterdir())]
    broken = {"ORU^R01-PDF.hl7", "SIU^S12-NewAppointmentBooking.hl7"}  # see tests/unit/hl7_fhir/test_oracle.py
    files = [path for path in files if path.name not in broken]
    contents = [content for path in files for content in in_file(path.read_bytes())]
    contents += in_file((folder / "simhospital" / "messages.out").read_bytes())[::20]
    expected = [code for content in contents for code in codes(Envelope.of(content), "AA")]
    assert set(expected) == {"AA", "CA"}
    for _ in range(2):
        async with mllp_peer(service.mllp) as peer:
            await peer.write(b"".join(START + content + END for content in contents))
            assert [code_of(await peer.answer()) for _ in expected] == expected
