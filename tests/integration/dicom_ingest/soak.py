"""A service that is killed again and again while instances arrive, and the account of what was sent to it.

In each round a sender of one to three associations sends instances of 1 kB to 3 MB; the service dies at a moment drawn
at random or at a named step (adapters/crash.py of dicom_ingest) and is started again while the sender goes on. A sender
that got no answer sends again, so an instance may lie there more often than once, never more often than it was sent.
"""

import random
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cli.dicom_files import Outgoing, examine
from cli.scu import ConnectionLost, Sender
from tests.integration.dicom_ingest.site import IngestSite, write_files
from tests.support.instances import as_file, make_instances, uid

#: Every named step at which the service can die.
STEPS = (
    "record.written",
    "record.synced",
    "record.answered",
    "batch.closing",
    "batch.closed",
    "landing.archive",
    "landing.manifest",
    "landing.event",
    "batch.published",
)
#: What is known as ``step`` when the moment was drawn at random.
AT_RANDOM = "at random"
#: Side of the images of 16 bits: 1 kB to 3 MB.
_ROWS = (16, 64, 200, 600, 1200)
#: Small batches, so that instances outgrow them and a study fills several.
_SETTINGS = {"batch_bytes": 1 << 20, "batch_instances": 6}
#: Seconds: the latest random moment of a round, how long a named step may take to come once all is sent, and how long
#: a sender tries.
_LATEST, _GRACE, _PATIENCE = 1.5, 1.5, 60.0

#: SOP instance UID and digest of the data set.
Key = tuple[str, bytes]


@dataclass
class Ledger:
    """How often each instance was sent, in whole or in part, and how often it was acknowledged or refused."""

    sent: Counter[Key]
    acknowledged: Counter[Key]
    refused: int = 0

    @classmethod
    def empty(cls) -> "Ledger":
        """Nothing was sent yet."""
        return cls(Counter(), Counter())


class Courier:
    """Sends the instances of a round; what was not answered goes out again."""

    def __init__(self, port: int, outgoing: Sequence[Outgoing], associations: int, ledger: Ledger) -> None:
        self._port, self._ledger = port, ledger
        self._queue = deque(outgoing)
        self._keys = {each: key_of(each) for each in outgoing}
        self._pairs = sorted({(each.sop_class, each.transfer_syntax) for each in outgoing})
        self._lock = threading.Lock()
        self._until = time.monotonic() + _PATIENCE
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(associations)]
        for thread in self._threads:
            thread.start()

    @property
    def is_busy(self) -> bool:
        """Whether something is still to be sent."""
        return any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while self._queue and time.monotonic() < self._until:
            try:
                sender = Sender("127.0.0.1", self._port, self._pairs, "SOAK", "CAUSEWAY", _PATIENCE)
            except ConnectionLost:
                time.sleep(0.05)
                continue
            self._send(sender)

    def _send(self, sender: Sender) -> None:
        """Until nothing is left, or the association is lost."""
        while self._queue:
            try:
                outgoing = self._queue.popleft()
            except IndexError:
                break
            with self._lock:
                self._ledger.sent[self._keys[outgoing]] += 1
            try:
                status = sender.store(outgoing)
            except ConnectionLost:
                self._queue.appendleft(outgoing)
                sender.close()
                return
            with self._lock:
                self._ledger.acknowledged[self._keys[outgoing]] += status.is_success
                self._ledger.refused += not status.is_success
        sender.release()


def key_of(outgoing: Outgoing) -> Key:
    """Identity of an instance as it lies in a file."""
    return outgoing.sop_instance, sha256(outgoing.path.read_bytes()[outgoing.offset :]).digest()


class Mortal:
    """The service; each life ends at a step drawn when it begins."""

    def __init__(self, site: IngestSite, moments: random.Random) -> None:
        self._site, self._moments = site, moments
        self._step: str | None = None
        self.deaths: Counter[str] = Counter()

    def start(self) -> None:
        """Begin a life; it may end before the port is open, where it takes over what the last one left."""
        while True:
            self._step = self._moments.choice(STEPS) if self._moments.random() < 0.7 else None
            crash = {"crash_at": f"{self._step}:{self._moments.randint(1, 4)}"} if self._step else {}
            try:
                self._site.start(**_SETTINGS, **crash)
                return
            except AssertionError:
                if not self.has_died:
                    raise
                self._bury()

    @property
    def has_died(self) -> bool:
        """Whether its step has come."""
        assert self._site.process is not None and self._site.process.process is not None
        return self._site.process.process.poll() == 137

    def live(self, courier: Courier) -> None:
        """Return when it is dead."""
        end = time.monotonic() + self._moments.uniform(0, _LATEST)
        while not self.has_died and (time.monotonic() < end or (self._step and courier.is_busy)):
            if self._step and courier.is_busy:
                end = time.monotonic() + _GRACE
            time.sleep(0.005)
        if not self.has_died:
            assert self._site.process is not None
            self._site.process.kill()
            self._step = None
        self._bury()

    def see_through(self, courier: Courier) -> None:
        """Start again as often as it dies until all is sent."""
        self.start()
        while courier.is_busy:
            if self.has_died:
                self._bury()
                self.start()
            time.sleep(0.005)

    def rest(self) -> None:
        """The last life, which nothing ends."""
        assert self._site.process is not None
        self._site.process.kill()
        self._site.start(**_SETTINGS)

    def _bury(self) -> None:
        self.deaths[self._step or AT_RANDOM] += 1


def make_round(moments: random.Random, folder: Path) -> list[Outgoing]:
    """New instances of one to three series, some of the same study, as files in ``folder``."""
    studies = [uid() for _ in range(moments.randint(1, 2))]
    images = [
        as_file(image)
        for number in range(moments.randint(1, 3))
        for image in make_instances(
            moments.randint(1, 6),
            rows=moments.choice(_ROWS),
            seed=moments.randrange(1 << 30),
            study_uid=studies[number % len(studies)],
        )
    ]
    moments.shuffle(images)
    found = map(examine, write_files(folder, images))
    return [each for each in found if isinstance(each, Outgoing)]


def soak(site: IngestSite, rounds: int, seed: int) -> tuple[Ledger, Counter[str]]:
    """So many rounds on a provisioned site; what was sent, and what the service died of. It runs when this returns."""
    moments, ledger = random.Random(seed), Ledger.empty()
    mortal = Mortal(site, moments)
    mortal.start()
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=site.folder) as folder:
            outgoing = make_round(moments, Path(folder))
            courier = Courier(site.port, outgoing, moments.randint(1, 3), ledger)
            mortal.live(courier)
            mortal.see_through(courier)
    mortal.rest()
    return ledger, mortal.deaths
