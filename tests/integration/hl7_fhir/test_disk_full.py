"""A full disk under the database: AR, or the sender is held; once there is room all goes on, and no AA was false."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from tests.support.hl7 import adt, code_of, mllp_peer
from tests.support.hl7_service import Hl7Service
from tests.support.nats import NatsServer
from tests.support.receivers import receivers_yaml, receiving, without_repeats
from tests.support.services import eventually
from tests.support.small_disk import MIB, SmallDisk, small_disk

#: What a message carries beside its patient, bytes.
WEIGHT = 48 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """The disk of the database alone."""
    with small_disk(tmp_path / "disk", 48 * MIB) as mounted:
        yield mounted


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as entered:
        yield entered


async def started(
    stack: AsyncExitStack, folder: Path, nats: NatsServer, disk: SmallDisk, **settings: str
) -> Hl7Service:
    """A service whose database lies on ``disk``."""
    url = f"sqlite:///{disk.path / 'hl7_fhir.sqlite3'}"
    service = Hl7Service(folder, nats, database_url=url, **settings)
    await service.provision()
    await asyncio.to_thread(service.server.start)
    stack.push_async_callback(asyncio.to_thread, service.server.stop)
    return service


def heavy(patient: str) -> bytes:
    """A patient with a long Z-segment, which is kept and mapped to nothing."""
    return adt("A01", control_id=patient, pid=f"PID|1||{patient}^^^H") + b"ZXY|" + b"x" * WEIGHT + b"\r"


async def offered(service: Hl7Service, name: str, until: str, most: int = 2000) -> tuple[set[str], str]:
    """Send one message after the other until one is answered ``until``: the patients of those before, and that one."""
    taken: set[str] = set()
    async with mllp_peer(service.mllp) as peer:
        for number in range(most):
            patient = f"P{name}-{number}"
            answer = await peer.send(heavy(patient))
            if code_of(answer) == until:
                if until == "AR":
                    assert b"database-full" in answer
                return taken, patient
            assert code_of(answer) == "AA"
            taken.add(patient)
    pytest.fail(f"none of {most} was answered {until}")


async def known(service: Hl7Service) -> dict[str, str]:
    """Every patient's id by its number, once nothing waits."""
    await eventually(lambda: _is_through(service), 60)
    found: dict[str, str] = {}
    path = "/fhir/Patient?_count=200"
    async with httpx.AsyncClient(base_url=service.http) as client:
        while path:
            page = (await client.get(path)).json()
            entries = [entry["resource"] for entry in page.get("entry", [])]
            found |= {patient["identifier"][0]["value"]: patient["id"] for patient in entries}
            urls = [link["url"] for link in page["link"] if link["relation"] == "next"]
            path = urls[0].removeprefix(service.http) if urls else ""
    return found


async def _is_through(service: Hl7Service) -> bool:
    async with httpx.AsyncClient(base_url=service.http) as client:
        listed = (await client.get("/api/hl7/messages?state=waiting&limit=1")).json()
    await asyncio.sleep(0.1)
    return not listed["messages"]


async def told(service: Hl7Service, ids: dict[str, str]) -> None:
    """Return when the bus has one event of each patient, and no more."""

    async def are_there() -> bool:
        await asyncio.sleep(0.1)
        return await service.event_count() >= len(ids)

    await eventually(are_there, 90)
    events = Counter(event["data"]["patient_ref"] for event in await service.events())
    assert events == dict.fromkeys(ids.values(), 1)


async def test_a_sender_gets_ar_and_all_that_was_acknowledged_is_mapped_and_told_when_there_is_room(
    stack: AsyncExitStack, tmp_path: Path, nats_server: NatsServer, disk: SmallDisk
) -> None:
    service = await started(stack, tmp_path, nats_server, disk)
    disk.fill(leave=6 * MIB)
    first, refused = await offered(service, "a", "AR")
    assert first
    disk.empty()
    async with mllp_peer(service.mllp) as peer:
        assert code_of(await peer.send(heavy(refused))) == "AA"
    ids = await known(service)
    assert ids.keys() == first | {refused}
    await told(service, ids)
    async with httpx.AsyncClient(base_url=service.http) as client:
        assert (await client.get("/readyz")).status_code == 200


async def test_a_disk_without_a_byte_refuses_the_first_message_and_is_filled_and_emptied_again_and_again(
    stack: AsyncExitStack, tmp_path: Path, nats_server: NatsServer, disk: SmallDisk
) -> None:
    service = await started(stack, tmp_path, nats_server, disk)
    taken: set[str] = set()
    for round_ in range(4):
        disk.fill(leave=round_ * MIB)
        some, refused = await offered(service, f"r{round_}", "AR")
        disk.empty()
        async with mllp_peer(service.mllp) as peer:
            assert code_of(await peer.send(heavy(refused))) == "AA"
        taken |= some | {refused}
    ids = await known(service)
    assert ids.keys() == taken
    await told(service, ids)


async def test_a_process_that_dies_while_the_disk_is_full_has_lost_nothing(
    stack: AsyncExitStack, tmp_path: Path, nats_server: NatsServer, disk: SmallDisk
) -> None:
    service = await started(stack, tmp_path, nats_server, disk)
    disk.fill(leave=4 * MIB)
    taken, refused = await offered(service, "a", "AR")
    await asyncio.to_thread(service.server.kill)
    disk.fill()
    await asyncio.to_thread(service.server.start)
    async with mllp_peer(service.mllp) as peer:
        assert code_of(await peer.send(heavy("late"))) == "AR"
    disk.empty()
    ids = await known(service)
    # One that was not acknowledged may be there all the same.
    assert taken <= ids.keys() <= taken | {refused}
    await told(service, ids)


async def test_a_sender_that_is_to_be_held_hears_aa_once_there_is_room(
    stack: AsyncExitStack, tmp_path: Path, nats_server: NatsServer, disk: SmallDisk
) -> None:
    senders = tmp_path / "senders.yaml"
    senders.write_text("senders:\n  - name: ris\n    applications: RIS\n    trouble: hold\n")
    service = await started(stack, tmp_path, nats_server, disk, senders_file=str(senders))
    disk.fill()
    async with mllp_peer(service.mllp) as peer:
        waiting = asyncio.create_task(peer.send(heavy("P1")))
        await asyncio.sleep(2)
        assert not waiting.done()
        disk.empty()
        assert code_of(await waiting) == "AA"
    assert (await known(service)).keys() == {"P1"}


async def test_receivers_get_each_message_once_room_is_there_in_their_order(
    stack: AsyncExitStack, tmp_path: Path, nats_server: NatsServer, disk: SmallDisk
) -> None:
    receiver = await stack.enter_async_context(receiving())
    path = receivers_yaml(tmp_path / "receivers.yaml", pacs=receiver.port)
    service = await started(stack, tmp_path, nats_server, disk, receivers_file=str(path))
    disk.fill(leave=4 * MIB)
    taken, refused = await offered(service, "a", "AR")
    disk.empty()
    async with mllp_peer(service.mllp) as peer:
        assert code_of(await peer.send(heavy(refused))) == "AA"
    sent = [heavy(f"Pa-{number}") for number in range(len(taken) + 1)]
    await eventually(lambda: len(without_repeats(receiver.got)) >= len(sent), 60)
    assert without_repeats(receiver.got) == sent
