"""C-STORE ingest beside Orthanc, dcmtk's storescp and pynetdicom's, in the same run on the same disk.

dcmtk's dcmsend sends the same files to each in turn, over TCP_NODELAY. Ours runs as it does on a site: it digests,
syncs each instance before it answers, and lands batches and tells the bus of them meanwhile; storescp does none of it.
"""

import os
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import receivers
from bench.receivers import Receiver
from bench.senders import dcmsend
from bench.support import median, result, series, table

ROUNDS = 3
ASSOCIATIONS = (1, 4, 16)
#: The study of a published test of Orthanc: 1,635 files in 356 MB (docs of peers, bench/RESULTS.md).
STUDY = 1635
#: Instances of the long run, and how many of them are sent between two looks at the clock.
LONG, PORTION = 200_000, 10_000


@dataclass(frozen=True)
class Load:
    """So many instances of a kind; ``rows`` × ``rows`` pixels of 16 bits in ``frames`` frames."""

    name: str
    count: int
    rows: int
    frames: int = 1

    def write(self, folder: Path, seed: int) -> list[Path]:
        """A new study of this kind."""
        return series(folder, self.count, seed, rows=self.rows, frames=self.frames)


CT, MR, MULTI = Load("CT 525 kB", 320, 512), Load("MR 100 kB", 640, 224), Load("multi-frame 20 MB", 16, 512, 40)
SHAPE = Load("1,635 files, 356 MB", STUDY, 330)

#: Instances/s, and CPU seconds per instance, by (load, associations, receiver), a value for each round.
Figures = dict[tuple[str, int, str], list[float]]


def main() -> int:
    """Let all take turns; print medians, ratios and the long run."""
    if absent := receivers.missing():
        print(f"not installed: {', '.join(absent)} (Debian: orthanc, dcmtk)", file=sys.stderr)
        return 1
    rates: Figures = defaultdict(list)
    costs: Figures = defaultdict(list)
    with tempfile.TemporaryDirectory(dir=os.environ.get("CAUSEWAY_BENCH_DIR")) as name, ExitStack() as stack:
        folder = Path(name)
        kinds = (receivers.causeway, receivers.orthanc, receivers.storescp, receivers.pynetdicom)
        running = [stack.enter_context(kind(folder / kind.__name__)) for kind in kinds]
        for number in range(ROUNDS):
            for load in (CT, MR, MULTI):
                for associations in ASSOCIATIONS:
                    # pynetdicom's storescp takes ten associations at most.
                    taking = running if associations <= 10 else running[:-1]
                    _turn(folder, load, associations, number, taking, rates, costs)
            _turn(folder, SHAPE, 1, number, running[:2], rates, costs)
        memory = running[0].memory()
        tenths = _long_run(folder, running[0])
    _show(rates, costs, memory, tenths)
    return 0


def _turn(
    folder: Path, load: Load, associations: int, number: int, running: list[Receiver], rates: Figures, costs: Figures
) -> None:
    """One round: each receiver takes the same new files, in an order that changes."""
    order = running[number % len(running) :] + running[: number % len(running)]
    with _new(folder, load, hash((load.name, associations, number)) % 2**31) as files:
        for receiver in order:
            os.sync()  # nobody is to pay for what another has left to be written
            before = receiver.cpu()
            rates[load.name, associations, receiver.name].append(
                len(files) / dcmsend(files, receiver.port, associations)
            )
            receiver.settle()
            costs[load.name, associations, receiver.name].append((receiver.cpu() - before) / len(files))


@contextmanager
def _new(folder: Path, load: Load, seed: int) -> Iterator[list[Path]]:
    files = folder / f"files-{seed}"
    files.mkdir()
    try:
        yield load.write(files, seed)
    finally:
        shutil.rmtree(files)


def _long_run(folder: Path, ours: Receiver) -> list[float]:
    """Instances/s in each tenth of a long run of small instances, over four associations."""
    rates = []
    for number in range(LONG // PORTION):
        with _new(folder, Load("small", PORTION, 16), number) as files:
            rates.append(PORTION / dcmsend(files, ours.port, 4))
    per_tenth = len(rates) // 10
    return [median(rates[at : at + per_tenth]) for at in range(0, len(rates), per_tenth)]


def _show(rates: Figures, costs: Figures, memory: float, tenths: list[float]) -> None:
    """Tables, then the ratios."""
    print(f"\nC-STORE from dcmsend, medians of {ROUNDS} rounds: instances/s, and CPU ms per instance of the receiver\n")
    rows = [
        (load, associations, receiver, median(found), 1000 * median(costs[load, associations, receiver]))
        for (load, associations, receiver), found in rates.items()
    ]
    table(("instances", "associations", "receiver", "instances/s", "CPU ms"), rows)
    print(f"\n{LONG:,} instances of 1 kB, instances/s in each tenth: {' '.join(f'{rate:.0f}' for rate in tenths)}\n")

    def ratio(figures: Figures, load: Load, associations: int, peer: str) -> float:
        mine, theirs = figures[load.name, associations, "causeway"], figures[load.name, associations, peer]
        return median(one / other for one, other in zip(mine, theirs, strict=True))

    ratios = {f"orthanc_{count}": ratio(rates, CT, count, "orthanc") for count in ASSOCIATIONS}
    ratios["storescp_1"] = ratio(rates, CT, 1, "storescp")
    ratios["orthanc_1635"] = ratio(rates, SHAPE, 1, "orthanc")
    ratios["cpu_vs_pynetdicom"] = ratio(costs, CT, 1, "pynetdicom")
    ratios["last_tenth"] = tenths[-1] / tenths[0]
    figures = {
        f"{load}/{count}/{name}": [round(rate, 1) for rate in found] for (load, count, name), found in rates.items()
    }
    result("ingest", ratios, {"instances_per_second": figures, "peak_memory_mb": memory, "tenths": tenths})


if __name__ == "__main__":
    sys.exit(main())
