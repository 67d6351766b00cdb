"""C-STORE ingest beside Orthanc, dcmtk's storescp and pynetdicom's, in the same run on the same disk.

dcmtk's dcmsend sends the same files to each in turn, over TCP_NODELAY. Ours runs as it does on a site: it digests,
syncs each instance before it answers, and lands batches and tells the bus of them meanwhile; storescp does none of it.
What the disk allows is measured beside them: the same bytes, written and synced one by one by threads that do no more.
"""

import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import receivers
from bench.receivers import Receiver
from bench.senders import dcmsend
from bench.support import median, result, series, small, table, verdict

ROUNDS = 3
ASSOCIATIONS = (1, 4, 16)
#: The study of a published test of Orthanc: 1,635 files in 356 MB (docs of peers, bench/RESULTS.md).
STUDY = 1635
#: Instances of the long run, and how many of them are sent between two looks at the clock.
LONG, PORTION = 200_000, 10_000
#: The goals: ratios that are to be reached, and that of the processor's time that is not to be exceeded.
AT_LEAST = {"orthanc_1": 2.0, "orthanc_4": 2.5, "storescp_1": 0.5, "orthanc_1635": 1.0, "last_tenth": 0.95}
CPU_AT_MOST = 0.5
#: Seconds between two receivers: what a disk allows for a while is to be there for each of them.
_REST = 2.0


@dataclass(frozen=True)
class Load:
    """At least so many instances of a kind in all, ``rows`` × ``rows`` pixels of 16 bits in ``frames`` frames.

    Each association sends ``each`` at least: a dcmsend takes 40 ms of a processor to start, which tells nothing of who
    receives, and sixteen of them take as long as they send.
    """

    name: str
    count: int
    rows: int
    frames: int = 1
    each: int = 160

    def write(self, folder: Path, seed: int, associations: int = 1) -> list[Path]:
        """A new study of this kind, for so many associations."""
        count = max(self.count, self.each * associations)
        return series(folder, count, seed, rows=self.rows, frames=self.frames)


CT, MR = Load("CT 525 kB", 320, 512), Load("MR 100 kB", 640, 224)
MULTI = Load("multi-frame 20 MB", 16, 512, 40, each=2)
SHAPE = Load("1,635 files, 356 MB", STUDY, 330)

#: Instances/s, and CPU seconds per instance, by (load, associations, receiver), a value for each round.
Figures = dict[tuple[str, int, str], list[float]]


def main() -> int:
    """Let all take turns; print medians, ratios and the long run; exit 1 when a goal was missed."""
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
        tenths = _long_run(running[0])
    return _show(rates, costs, memory, tenths)


def _turn(
    folder: Path, load: Load, associations: int, number: int, running: list[Receiver], rates: Figures, costs: Figures
) -> None:
    """One round: each receiver takes the same new files, in an order that changes."""
    order = running[number % len(running) :] + running[: number % len(running)]
    write = partial(load.write, associations=associations)
    with _new(write, hash((load.name, associations, number)) % 2**31) as files:
        for receiver in order:
            _settle_disk(folder)
            before = receiver.cpu()
            rates[load.name, associations, receiver.name].append(
                len(files) / dcmsend(files, receiver.port, associations)
            )
            receiver.settle()
            costs[load.name, associations, receiver.name].append((receiver.cpu() - before) / len(files))
        _settle_disk(folder)
        rates[load.name, associations, "disk"].append(_disk(folder, files, associations))


def _disk(folder: Path, files: list[Path], associations: int) -> float:
    """The disk's own limit: instances/s when threads do nothing but write them, each synced before the next."""
    contents = [path.read_bytes() for path in files]

    def write(number: int) -> None:
        handle = os.open(folder / f"limit-{number}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        at = 0
        for content in contents[number::associations]:
            at += os.pwrite(handle, content, at)
            os.fdatasync(handle)
        os.close(handle)

    with ThreadPoolExecutor(associations) as pool:
        begun = time.perf_counter()
        list(pool.map(write, range(associations)))
        taken = time.perf_counter() - begun
    for number in range(associations):
        (folder / f"limit-{number}").unlink()
    return len(files) / taken


def _settle_disk(folder: Path) -> None:
    """Nobody is to pay for what another has left to be written, or left in the kernel's memory."""
    os.sync()
    for path in folder.rglob("*"):
        with suppress(OSError):
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)
    time.sleep(_REST)


@contextmanager
def _new(write: Callable[[Path, int], list[Path]], seed: int) -> Iterator[list[Path]]:
    """Files in memory where that can be: reading them is the sender's matter, and the disk is the receivers'."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as files:
        yield write(Path(files), seed)


def _long_run(ours: Receiver) -> list[float]:
    """Instances/s in each tenth of a long run of small instances, over four associations."""
    rates = []
    for number in range(LONG // PORTION):
        with _new(lambda folder, seed: small(folder, PORTION, seed), number) as files:
            rates.append(PORTION / dcmsend(files, ours.port, 4))
    per_tenth = len(rates) // 10
    return [median(rates[at : at + per_tenth]) for at in range(0, len(rates), per_tenth)]


def _show(rates: Figures, costs: Figures, memory: float, tenths: list[float]) -> int:
    """Tables, then the ratios; the exit status."""
    print(f"\nC-STORE from dcmsend, medians of {ROUNDS} rounds: instances/s, and CPU ms per instance of the receiver\n")
    rows = [
        (load, associations, receiver, median(found), 1000 * median(costs.get((load, associations, receiver), [0.0])))
        for (load, associations, receiver), found in rates.items()
    ]
    table(("instances", "associations", "receiver", "instances/s", "CPU ms"), rows)
    print(f"\n{LONG:,} instances of 1 kB, instances/s in each tenth: {' '.join(f'{rate:.0f}' for rate in tenths)}\n")

    def ratio(figures: Figures, load: Load, associations: int, peer: str) -> float:
        mine, theirs = figures[load.name, associations, "causeway"], figures[load.name, associations, peer]
        return median(one / other for one, other in zip(mine, theirs, strict=True))

    ratios = {f"orthanc_{count}": ratio(rates, CT, count, "orthanc") for count in ASSOCIATIONS}
    ratios["storescp_1"] = ratio(rates, CT, 1, "storescp")
    ratios |= {f"disk_{count}": ratio(rates, CT, count, "disk") for count in ASSOCIATIONS}
    ratios["orthanc_1635"] = ratio(rates, SHAPE, 1, "orthanc")
    ratios["cpu_vs_pynetdicom"] = ratio(costs, CT, 1, "pynetdicom")
    ratios["last_tenth"] = tenths[-1] / tenths[0]
    figures = {
        f"{load}/{count}/{name}": [round(rate, 1) for rate in found] for (load, count, name), found in rates.items()
    }
    result("ingest", ratios, {"instances_per_second": figures, "peak_memory_mb": memory, "tenths": tenths})
    return verdict("ingest", goals(ratios))


def goals(ratios: Mapping[str, float]) -> dict[str, bool]:
    """What is to be reached, and whether it was."""
    reached = {f"{name} at least {least:g}": ratios[name] >= least for name, least in AT_LEAST.items()}
    return {**reached, f"cpu_vs_pynetdicom at most {CPU_AT_MOST:g}": ratios["cpu_vs_pynetdicom"] <= CPU_AT_MOST}


if __name__ == "__main__":
    sys.exit(main())
