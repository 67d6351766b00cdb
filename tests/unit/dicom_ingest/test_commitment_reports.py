"""Who is told of a commitment while other peers are away."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from contracts.events import CommitmentDecided, Event
from services.dicom_ingest.adapters.commitment_files import CommitmentFiles
from services.dicom_ingest.domain.peers import CallBack
from services.dicom_ingest.handlers.commitment import Commitment
from services.dicom_ingest.handlers.commitment_reports import CommitmentReports, ReportRules
from services.dicom_ingest.ports.commitment import NotReported, Reach
from tests.unit.dicom_ingest.test_commitment import SITE_KEY, decision

SLOTS = 8
RULES = ReportRules(look_every=0.05, leave_to_others=0)
PEER, OTHER = "a" * 32, "b" * 32


class Nobody:
    """A bus that nothing is told to."""

    async def publish(self, event: Event, **_: object) -> None:
        raise AssertionError(event.subject)


class Peers:
    """Those in ``away`` (AE title and what stands for the peer) let a caller wait to the end of the test."""

    def __init__(self) -> None:
        self.away: set[tuple[str, str | None]] = set()
        self.over = threading.Event()
        self.at_once: Counter[tuple[str, str | None]] = Counter()
        self.most: Counter[tuple[str, str | None]] = Counter()
        self._lock = threading.Lock()

    def report(self, decided: CommitmentDecided, callback: CallBack) -> int:
        peer = decided.calling_ae, decided.peer
        if peer not in self.away:
            return 0
        with self._lock:
            self.at_once[peer] += 1
            self.most[peer] = max(self.most[peer], self.at_once[peer])
        self.over.wait(60)
        raise NotReported("peer-not-reached")


@pytest.fixture
def peers() -> Iterator[Peers]:
    found = Peers()
    yield found
    found.over.set()


@asynccontextmanager
async def reporting(files: CommitmentFiles, peers: Peers) -> AsyncIterator[None]:
    reach = Reach(
        requests=files,
        calls=peers,
        remembered=lambda peer: None,
        callback=lambda decided: CallBack("peer.example", 104, decided.calling_ae),
        give_up_after=86_400 * 36_500,
    )
    commitment = Commitment(requests=files, site_key=SITE_KEY, remembered=reach.remembered)
    reports = CommitmentReports(commitment=commitment, bus=Nobody(), reach=reach, rules=RULES, at_a_time=SLOTS)
    task = asyncio.create_task(reports.run())
    yield
    peers.over.set()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def decide(files: CommitmentFiles, number: int, calling_ae: str, peer: str | None = None) -> Path:
    """A decision for a peer; what lies in its place once it is reported."""
    name = f"{number:032x}"
    files.decide(decision(name).model_copy(update={"calling_ae": calling_ae, "peer": peer}))
    return files.folder / f"{name}.reported"


async def until(path: Path) -> None:
    async with asyncio.timeout(20):
        while not path.exists():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("told", [("MR1", None), ("CT1", OTHER)], ids=["another title", "another of that title"])
async def test_a_peer_that_is_away_holds_up_no_other_however_much_it_is_to_be_told(
    tmp_path: Path, peers: Peers, told: tuple[str, str | None]
) -> None:
    files = CommitmentFiles(tmp_path)
    peers.away.add(("CT1", PEER))
    for number in range(5 * SLOTS):
        decide(files, number, "CT1", PEER)
    async with reporting(files, peers):
        await until(decide(files, 1000, *told))
        assert peers.most == {("CT1", PEER): 1}


async def test_peers_that_are_away_take_no_thread_that_others_of_the_house_work_on(
    tmp_path: Path, peers: Peers
) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
    files = CommitmentFiles(tmp_path)
    for number in range(SLOTS):
        peers.away.add((f"CT{number}", None))
        decide(files, number, f"CT{number}")
    async with reporting(files, peers):
        async with asyncio.timeout(20):
            while sum(peers.at_once.values()) < SLOTS:
                await asyncio.sleep(0.02)
        async with asyncio.timeout(20):
            assert await asyncio.to_thread(files.undelivered) == 0


async def test_one_after_the_other_is_told_to_a_peer_that_is_there(tmp_path: Path, peers: Peers) -> None:
    files = CommitmentFiles(tmp_path)
    async with reporting(files, peers):
        for path in [decide(files, number, "CT1") for number in range(3 * SLOTS)]:
            await until(path)
