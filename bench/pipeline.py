"""The whole way, from C-STORE to copies proven in two clouds, beside the limit of this machine.

The limit is what nobody can beat on this machine with these two clouds: the same bytes written and fsynced once, put to
both clouds in objects of 64 MiB by obstore, read back from both, and hashed, with everything that can overlap
overlapping. Ours receives, checks, packs, encrypts, writes and proves; the policy is two identified cloud copies.
"""

import hashlib
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import obstore
from obstore.store import S3Store

from bench.processes import cpu_seconds, peak_mb
from bench.support import MB, ct_series, median, result, table
from cli import lifecycle, send
from cli.api import Api, ApiError
from cli.embedded.ports import CLOUDS, Ports, free_base
from cli.embedded.servers import credentials
from cli.site import Site, write_atomically

SLICES, ROUNDS = 2000, 3
OBJECT = 64 * 1024 * 1024
_PATIENCE = 600.0
#: Asking costs the ledger time that it needs for the work: seldom enough not to be seen, often enough to be exact.
_LOOK_EVERY = 0.3

POLICY = """format: causeway.policy/1
pack: {size: 64MiB, quiet: 1s, recovery_point: 1m}
overdue: {secured: 10m, archived: 20m, repeat: 10m, longest: 1h}
commit_after: [cloud-a]
default:
  copies:
    - {form: identified, target: cloud-a, tier: hot, key_domain: clinical}
    - {form: identified, target: cloud-b, tier: hot, key_domain: clinical}
"""


def main() -> int:
    """Alternate the limit and ours; print both and their ratio."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("CAUSEWAY_BENCH_DIR")) as folder:
        site, base = Site(Path(folder) / "site"), free_base()
        site.config.mkdir(parents=True)
        write_atomically(site.policy, POLICY)
        lifecycle.start(site, base)
        try:
            rounds = [_round(site, base, Path(folder), number) for number in range(ROUNDS)]
            memory, spent = peak_memory(site), {name: cpu_seconds(pid) for name, pid in _processes(site).items()}
        finally:
            lifecycle.end(site)
    limits, ours = [one[0] for one in rounds], [one[1] for one in rounds]
    print(f"\nC-STORE to proven in two clouds, {SLICES} CT slices of 525 kB a round, MB/s (median of {ROUNDS})\n")
    table(("", "MB/s", "rounds"), [("limit", median(limits), _each(limits)), ("causeway", median(ours), _each(ours))])
    print("\npeak memory and CPU time of each process (the clouds' is mostly the limit's)\n")
    table(("process", "MB", "CPU s"), [(name, memory[name], spent[name]) for name in sorted(memory)])
    ratio = median(mine / limit for limit, mine in rounds)
    result(
        "pipeline",
        {"limit": ratio},
        {"limit_mb_s": limits, "causeway_mb_s": ours, "peak_memory_mb": memory, "cpu_s": spent},
    )
    return 0


def _each(values: list[float]) -> str:
    return " ".join(f"{value:.1f}" for value in values)


def _round(site: Site, base: int, folder: Path, number: int) -> tuple[float, float]:
    """The limit and ours, MB/s, over the same bytes."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        paths = ct_series(Path(scratch), SLICES, seed=number)
        size = sum(path.stat().st_size for path in paths)
        limit = size / MB / _limit(site, base, paths, Path(scratch))
        ours = size / MB / _ours(site, paths)
    print(f"round {number + 1}: limit {limit:.1f} MB/s, causeway {ours:.1f} MB/s", flush=True)
    return limit, ours


def _limit(site: Site, base: int, paths: list[Path], scratch: Path) -> float:
    """Seconds for the bytes of ``paths`` with nothing between them and the machine."""
    stores = [_store(site, base, cloud) for cloud in CLOUDS]
    began, keys = time.monotonic(), []
    with ThreadPoolExecutor(2 * len(stores)) as threads:
        waiting: list[Any] = []
        for number, data in enumerate(_objects(paths)):
            _write_durably(scratch / "limit.bin", data)
            while len(waiting) >= 2 * len(stores):
                waiting.pop(0).result()
            keys.append(f"limit/{scratch.name}/{number}")
            waiting += [threads.submit(_there_and_back, store, keys[-1], data) for store in stores]
        for one in waiting:
            one.result()
    seconds = time.monotonic() - began
    for store in stores:
        obstore.delete(store, keys)
    return seconds


def _objects(paths: list[Path]) -> Any:
    gathered = bytearray()
    for path in paths:
        gathered += path.read_bytes()
        if len(gathered) >= OBJECT:
            yield bytes(gathered[:OBJECT])
            del gathered[:OBJECT]
    yield bytes(gathered)


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _there_and_back(store: S3Store, key: str, data: bytes) -> str:
    obstore.put(store, key, data, mode="create", use_multipart=False)
    return hashlib.sha256(obstore.get(store, key).bytes()).hexdigest()


def _store(site: Site, base: int, cloud: str) -> S3Store:
    keys = credentials(site, cloud)
    return S3Store(
        f"causeway-{cloud}",
        endpoint=f"http://127.0.0.1:{Ports.from_base(base).clouds[cloud][0]}",
        access_key_id=keys.access_key,
        secret_access_key=keys.secret_key,
        region="us-east-1",
        client_options={"allow_http": True},
    )


def _ours(site: Site, paths: list[Path]) -> float:
    """Seconds from the first C-STORE to the last proof."""
    before = _proven_instances(site)
    host, _, port = site.endpoints()["dicom"].rpartition(":")
    began = time.monotonic()
    report = send.send(paths, host=host, port=int(port), associations=4)
    if report.failed:
        raise RuntimeError(f"{len(report.failed)} instances were refused")
    while time.monotonic() - began < _PATIENCE:
        if _proven_instances(site) - before >= len(CLOUDS) * len(paths):
            return time.monotonic() - began
        time.sleep(_LOOK_EVERY)
    raise RuntimeError("copies were not proven in time")


def _proven_instances(site: Site) -> int:
    try:
        return sum(copy["proven_instances"] for copy in Api.of(site).get("/api/summary")["copies"])
    except ApiError:
        return -1


def peak_memory(site: Site) -> dict[str, float]:
    """The largest resident size of each service and server so far, MB."""
    return {name: peak_mb(pid) for name, pid in _processes(site).items()}


def _processes(site: Site) -> dict[str, int]:
    return {name: process["pid"] for name, process in site.state()["processes"].items() if process["pid"]}


if __name__ == "__main__":
    sys.exit(main())
