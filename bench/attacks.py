"""What a legitimate sender keeps of its rate while somebody attacks, for both receivers.

dcmtk's dcmsend sends the same study over one association, with an attack and without, in turns. An attack that stores
objects does so at the pace that tests/support/attackers.py tells; a slow one is 300 connections from ten addresses.
"""

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

from bench.senders import dcmsend
from bench.support import MB, ct_series, median, result, table, verdict
from contracts.events import BatchStored
from tests.integration.dicom_ingest.secured import Secured
from tests.integration.dicom_ingest.site import MEMORY_BOUND, RECEIVERS, IngestSite
from tests.support.attackers import ATTACKS, SECURED, Tally, attacked, attacks_on
from tests.support.nats import NatsServer

#: A round lasts a few seconds: one of less is as long as the disk's own moods.
ROUNDS, SLICES = 3, 1200
#: The attacks, all unless some are named.
CHOSEN = os.environ.get("CAUSEWAY_ATTACKS", "").split()
#: Seconds that an attack has been going on before the sender begins.
_WARM_UP = 0.5
#: The goal: what a legitimate sender keeps of its rate.
KEPT = 0.8
_PATIENCE = 300.0

#: Instances/s by (receiver, attack, whether it goes on), a value for each round.
Rates = dict[tuple[str, str, bool], list[float]]
#: Receiver, attack, rate alone and attacked (instances/s), their ratio, peak memory (MB), instances acknowledged and
#: landed, what the attacker was answered.
Row = tuple[str, str, float, float, float, float, int, int, str]


def main() -> int:
    """Attack each receiver in each way; exit 1 when a goal was missed."""
    if shutil.which("dcmsend") is None:
        print("not installed: dcmsend (Debian: dcmtk)", file=sys.stderr)
        return 1
    rates: Rates = defaultdict(list)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=os.environ.get("CAUSEWAY_BENCH_DIR")) as name:
        files = ct_series(Path(name), SLICES, seed=1)
        for receiver in RECEIVERS:
            for attack in _chosen(receiver):
                rows.append(_trial(Path(name) / f"{receiver}-{attack}", receiver, attack, files, rates))
    print(f"\n{SLICES} CT slices of 525 kB from dcmsend, instances/s, medians of {ROUNDS} rounds\n")
    table(
        ("receiver", "attack", "alone", "attacked", "ratio", "peak MB", "acknowledged", "landed", "attacker's answers"),
        [(*row[:4], f"{row[4]:.2f}", *row[5:]) for row in rows],
    )
    kept = {(row[0], row[1]): row[4] for row in rows}
    ratios = {attack: kept["fast", attack] for attack in _chosen("fast")}
    ratios |= {f"{attack}_standard": kept["standard", attack] for attack in _chosen("standard")}
    figures = {f"{row[0]}/{row[1]}": dict(zip(_FIGURES, row[2:], strict=True)) for row in rows}
    result("attacks", ratios, figures)
    return verdict("attacks", goals(rows))


def _chosen(receiver: str) -> list[str]:
    return [attack for attack in attacks_on(receiver) if not CHOSEN or attack in CHOSEN]


def goals(rows: Iterable[Row]) -> dict[str, bool]:
    """What is to be reached, and whether it was: the rate by the fast receiver, the rest by both."""
    reached: dict[str, bool] = {}
    for receiver, attack, _alone, _attacked, ratio, peak, acknowledged, landed, _answers in rows:
        name = f"{receiver}/{attack}"
        reached[f"{name}: everything acknowledged has landed"] = landed == acknowledged
        reached[f"{name}: at most {MEMORY_BOUND / MB:g} MB"] = peak <= MEMORY_BOUND / MB
        if receiver == "fast":
            reached[f"{name}: at least {KEPT:g} of the rate"] = ratio >= KEPT
    return reached


_FIGURES = ("alone_per_s", "attacked_per_s", "ratio", "peak_mb", "acknowledged", "landed", "answers")


def _trial(folder: Path, receiver: str, attack: str, files: list[Path], rates: Rates) -> Row:
    """One row: alternating rounds against a service of its own."""
    folder.mkdir()
    nats = NatsServer(folder / "nats").start()
    site = IngestSite(folder, nats, receiver, cold=True)
    asyncio.run(site.provision())
    secured = Secured(site)
    secured.start(batch_quiet=1.0, batch_quiet_after_end=0.25)
    port = secured.port if attack in SECURED else site.port
    answers: Counter[str] = Counter()
    acknowledged = 0
    try:
        for number in range(2 * ROUNDS):
            # With and without, then without and with: what drifts spares neither.
            goes_on = number % 4 in (0, 3)
            tally = Tally()
            with attacked(ATTACKS[attack], port) if goes_on else nullcontext(tally) as tally:
                time.sleep(_WARM_UP)
                rates[receiver, attack, goes_on].append(len(files) / dcmsend(files, site.port, 1))
            answers += tally.answers
            acknowledged += len(files) + tally.stored
            _settle(site, acknowledged)
        landed, peak = _landed(site), site.peak_bytes() / MB
    finally:
        if site.process is not None:
            site.process.stop()
        nats.kill()
        shutil.rmtree(folder, ignore_errors=True)
    alone, attacked_rates = (rates[receiver, attack, goes_on] for goes_on in (False, True))
    ratio = median(each / other for each, other in zip(attacked_rates, alone, strict=True))
    told = " ".join(f"{count} {name}" for name, count in answers.most_common())
    return receiver, attack, median(alone), median(attacked_rates), ratio, peak, acknowledged, landed, told


def _landed(site: IngestSite) -> int:
    """Instances in the landing store, by the events that told of them."""
    return sum(event.batch.instances for event in asyncio.run(site.events(BatchStored)))


def _settle(site: IngestSite, acknowledged: int) -> None:
    """Wait until everything acknowledged has landed, so that no round pays for the one before."""
    deadline = time.monotonic() + _PATIENCE
    while any(site.spool.glob("*/*.batch")) or _landed(site) < acknowledged:
        if time.monotonic() > deadline:
            return
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
