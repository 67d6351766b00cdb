"""SIGKILL while instances arrive, hundreds of times: what was acknowledged is there, bit for bit, and nothing else is.

Half of the rounds go to each receiver of dicom_ingest; tests/integration/dicom_ingest/soak.py says what a round is.
CAUSEWAY_CRASH_ROUNDS and CAUSEWAY_CRASH_SEED change how many rounds there are, and which.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.support import result, table
from tests.integration.dicom_ingest.findings import Findings, inspect
from tests.integration.dicom_ingest.site import RECEIVERS, IngestSite
from tests.integration.dicom_ingest.soak import Ledger, soak
from tests.support.nats import NatsServer

ROUNDS = int(os.environ.get("CAUSEWAY_CRASH_ROUNDS", "500"))
SEED = int(os.environ.get("CAUSEWAY_CRASH_SEED", "1"))
_COLUMNS = ("receiver", "deaths", "sent", "acknowledged", "stored", "repeated", "staged", "faults", "seconds")


@dataclass(frozen=True)
class Outcome:
    """What a receiver went through and what was found afterwards; seconds in all."""

    receiver: str
    ledger: Ledger
    deaths: Counter[str]
    findings: Findings
    seconds: float

    def row(self) -> tuple[object, ...]:
        """Its line of the table."""
        found = self.findings
        told = (self.deaths.total(), self.ledger.sent.total(), self.ledger.acknowledged.total())
        return (self.receiver, *told, found.stored, found.repeated, found.staged, len(found.faults), self.seconds)


def main() -> int:
    """0 when nothing was lost, and nothing is there that should not be."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("CAUSEWAY_BENCH_DIR")) as folder:
        outcomes = [_endure(Path(folder) / receiver, receiver) for receiver in RECEIVERS]
    table(_COLUMNS, [outcome.row() for outcome in outcomes])
    for outcome in outcomes:
        print(f"{outcome.receiver} died of {dict(sorted(outcome.deaths.items()))}", *outcome.findings.faults, sep="\n")
    lost = sum(outcome.findings.lost for outcome in outcomes)
    faults = sum(len(outcome.findings.faults) for outcome in outcomes)
    figures = {each.receiver: {"deaths": dict(each.deaths), **vars(each.findings)} for each in outcomes}
    result("crashes", {"lost": lost, "faults": faults}, {"rounds": ROUNDS, "seed": SEED, **figures})
    return 1 if faults else 0


def _endure(folder: Path, receiver: str) -> Outcome:
    """A receiver's share of the rounds, on a bus of its own."""
    folder.mkdir()
    began, nats = time.monotonic(), NatsServer(folder / "nats").start()
    site = IngestSite(folder, nats, receiver, cold=True)
    try:
        asyncio.run(site.provision())
        ledger, deaths = soak(site, ROUNDS // len(RECEIVERS), SEED)
        findings = asyncio.run(inspect(site, ledger))
        outcome = Outcome(receiver, ledger, deaths, findings, time.monotonic() - began)
        print(*outcome.row(), file=sys.stderr, flush=True)
        return outcome
    finally:
        if site.process is not None:
            site.process.kill()
        nats.kill()


if __name__ == "__main__":
    sys.exit(main())
