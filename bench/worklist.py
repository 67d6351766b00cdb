"""A worklist query over 100,000 scheduled steps, on SQLite and PostgreSQL, beside dcmtk's wlmscpfs in the same run.

A scanner's two questions: its modality and one day (100 answers), and its station and one day (10). Each asks over an
open association, until the last response has come. wlmscpfs reads a file for every step at every query, so it is asked
over 1,000 and 10,000 of the same steps, and ours over as many beside it. What the database alone takes for the rows of
the first question is measured in this process.
"""

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO
from sqlalchemy import Connection, insert

from bench.receivers import Receiver, running, service
from bench.support import median, result, table
from bench.worklist_asking import Asker, encoded, wanted
from services.hl7_fhir.adapters.step_rows import values_of
from services.hl7_fhir.adapters.worklist import statement
from services.hl7_fhir.adapters.worklist_tables import step_names, step_stations, steps
from services.hl7_fhir.domain.clinical.order import orders_of
from services.hl7_fhir.domain.clinical.record import Site
from services.hl7_fhir.domain.messages.message import read
from services.hl7_fhir.domain.worklist.dicom_text import folded
from services.hl7_fhir.domain.worklist.query import answer, read_query
from services.hl7_fhir.domain.worklist.step import Order, Rules, Step, steps_of
from shared.sql import Database
from tests.support.ports import free_ports
from tests.support.postgres import Postgres

SIZES = (1_000, 10_000, 100_000)
FILES = (1_000, 10_000)
QUERIES = 40
#: wlmscpfs takes seconds for one.
FEW = 5
#: Queries of each kind that are not counted.
WARM = 2
MODALITIES = ["CT", "MR", "US", "CR", "DX", "MG", "NM", "PT", "XA", "RF"]
DAYS, STATIONS = 100, 10
_FIRST = datetime(2026, 3, 1, tzinfo=UTC)

Key = tuple[str, int, str]
Timings = dict[Key, list[float]]
#: Seconds of processor time of whoever answers, for one query.
Costs = dict[Key, float]


def main() -> int:
    """Fill, ask, print."""
    timings: Timings = {}
    costs: Costs = {}
    with tempfile.TemporaryDirectory(dir=os.environ.get("CAUSEWAY_BENCH_DIR")) as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user
        os.environ.setdefault("TMPDIR", str(folder))
        cluster = stack.enter_context(_postgres(folder / "postgres"))
        for size in SIZES:
            for kind in ("sqlite", "postgresql"):
                url = f"sqlite:///{folder / f'{size}.sqlite3'}" if kind == "sqlite" else cluster.database()
                asyncio.run(_fill(url, size))
                timings[f"{kind}_sql", size, "day"] = asyncio.run(_bare(url, size))
                _ask_ours(timings, costs, kind, size, url, folder / f"{kind}-{size}")
        for size in FILES:
            _ask_peer(timings, costs, size, folder / f"files-{size}")
    _show(timings, costs)
    return 0


@contextmanager
def _postgres(folder: Path) -> Iterator[Postgres]:
    folder.mkdir()
    cluster = Postgres(folder)
    cluster.server.start()
    try:
        yield cluster
    finally:
        cluster.server.kill()


def _step(number: int, size: int) -> Step:
    """Step ``number`` of ``size``: spread evenly over modalities and, when there are so many, over days."""
    modality = MODALITIES[number % len(MODALITIES)]
    day = number // len(MODALITIES) * DAYS // max(size // len(MODALITIES), 1) if size < 100_000 else number // 1000
    when = _FIRST + timedelta(days=day % DAYS, minutes=8 * 60 + number * 7 % 600)
    station = f"{modality}{number // len(MODALITIES) % STATIONS + 1}"
    content = (
        r"MSH|^~\&|RIS|HOSP|CAUSEWAY|HOSP|20260131090000||OMI^O23|1|P|2.5.1" + "\r"
        f"ORC|NW|PL{number}^HIS|FI{number}^RIS||SC\rTQ1|||||||{when:%Y%m%d%H%M%S}+0000||R\r"
        f"OBR|1|PL{number}^HIS|FI{number}^RIS|24627-2^CT Chest^LN|||||||||Cough|||4711^House^Gregory^^^Dr.\r"
        f"IPC|ACC{number}^HOSP|RP{number}|1.2.826.0.1.3680043.8.498.{number}|SPS{number}|{modality}|P1^Chest^99L|"
        f"{station}|Room {number % 40}|{station}\r"
    )
    fields = orders_of(read(content.encode(), "utf-8"), Site())[0].fields
    patient = {
        "PID-3": (((f"P{number % 40_000:06d}",), ("",), ("",), ("HOSP",), ("MR",)),),
        "PID-5": (((f"Family{number % 5_000}",), (f"Given{number % 977}",)),),
        "PID-7": ((("19700101",),),),
        "PID-8": ((("F" if number % 2 else "M",),),),
    }
    (step,) = steps_of(Order(fields, "a" * 32, "1.2.3", when), patient, Site(), Rules())
    return step


async def _fill(url: str, size: int) -> None:
    database = Database(url)
    await database.migrate("services.hl7_fhir.migrations")
    for start in range(0, size, 5_000):
        numbered = [(n, _step(n, size)) for n in range(start, min(start + 5_000, size))]
        await database.run(lambda connection, found=numbered: _insert(connection, found))  # type: ignore[misc]  # mypy does not infer a lambda with a default
    if not database.is_sqlite:
        await database.run(lambda connection: connection.exec_driver_sql("ANALYZE"))
    await database.close()


def _insert(connection: Connection, numbered: list[tuple[int, Step]]) -> None:
    common = {
        "created": _FIRST,
        "message_ref": "b" * 32,
        "said": "SCHEDULED",
        "state": "SCHEDULED",
        "listed": True,
        "leaves": None,
        "made_uid": None,
    }
    rows = [
        common | values_of(step) | {"id": f"s{n:08d}", "order_id": f"o{n}", "patient": f"p{n % 40_000}"}
        for n, step in numbered
    ]
    connection.execute(insert(steps), rows)
    stations = [
        {"step": f"s{n:08d}", "station": name, "starts": step.starts} for n, step in numbered for name in step.stations
    ]
    connection.execute(insert(step_stations), stations)
    names = [
        {"step": f"s{n:08d}", "kind": "patient_name", "name": name}
        for n, step in numbered
        for name in folded(str(step.data[0x00100010]))
    ]
    connection.execute(insert(step_names), names)


def questions() -> dict[str, Dataset]:
    """A modality's day and a station's day."""
    day = f"{_FIRST + timedelta(days=50):%Y%m%d}"
    return {
        "day": wanted(Modality="CT", ScheduledProcedureStepStartDate=day),
        "station": wanted(ScheduledStationAETitle="CT1", ScheduledProcedureStepStartDate=day),
    }


async def _bare(url: str, size: int) -> list[float]:
    """The rows of the first question, without an association and without an answer."""
    query, database = read_query(encoded(questions()["day"]), explicit=True), Database(url)
    wanted_rows = statement(query, datetime.now(UTC), on_postgresql=not database.is_sqlite).limit(128)

    def ask(connection: Connection) -> float:
        begun = time.perf_counter()
        connection.execute(wanted_rows).all()
        return time.perf_counter() - begun

    found = [await database.read(ask) for _ in range(QUERIES + 3)][3:]
    await database.close()
    return found


def _ask_ours(timings: Timings, costs: Costs, kind: str, size: int, url: str, folder: Path) -> None:
    folder.mkdir()
    settings = {"CAUSEWAY_DATABASE_URL": url, "CAUSEWAY_MLLP_PORT": "0"}
    with service("hl7_fhir", "CAUSEWAY_WORKLIST_PORT", folder, **settings) as ours:
        for name, question in questions().items():
            before = ours.cpu()
            timings[kind, size, name] = _ask(ours, "CAUSEWAY", question, QUERIES, _expected(size, name))
            costs[kind, size, name] = (ours.cpu() - before) / (QUERIES + WARM)


def _expected(size: int, name: str) -> int:
    return {"day": 100, "station": 10}[name] if size == 100_000 else -1


def _ask_peer(timings: Timings, costs: Costs, size: int, folder: Path) -> None:
    program = shutil.which("wlmscpfs")
    if program is None:
        print("wlmscpfs is not installed: no peer", file=sys.stderr)
        return
    _write_files(folder / "PEER", size)
    (port,) = free_ports(1)
    with running("wlmscpfs", [program, "-s", "-dfp", str(folder), str(port)], port, folder) as peer:
        for name, question in questions().items():
            before = peer.cpu()
            timings["wlmscpfs", size, name] = _ask(peer, "PEER", question, FEW, -1)
            costs["wlmscpfs", size, name] = (peer.cpu() - before) / (FEW + WARM)


def _write_files(folder: Path, size: int) -> None:
    """The same steps as files, with every key of the question."""
    folder.mkdir(parents=True)
    (folder / "lockfile").touch()
    query = read_query(encoded(wanted()), explicit=True)
    for number in range(size):
        step = _step(number, size)
        written = dcmread(DicomBytesIO(answer(query, step.data, step.charset, explicit=True)), force=True)
        written.save_as(folder / f"{number}.wl", implicit_vr=False, little_endian=True, enforce_file_format=False)


def _ask(receiver: Receiver, called: str, question: Dataset, count: int, expected: int) -> list[float]:
    found = []
    with Asker(receiver.port, called) as asker:
        for number in range(count + WARM):
            begun = time.perf_counter()
            answers = asker.ask(question)
            if expected >= 0 and answers != expected:
                raise RuntimeError(f"{answers} answers of {receiver.name} where there are {expected}")
            if number >= WARM:
                found.append(time.perf_counter() - begun)
    return found


def _p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


def _show(timings: Timings, costs: Costs) -> None:
    print(f"\nA worklist query, ms until its last response, {QUERIES} times over an open association\n")
    milliseconds: Callable[[float], float] = lambda seconds: seconds * 1000  # noqa: E731
    rows = [
        (
            who,
            size,
            name,
            milliseconds(median(found)),
            milliseconds(_p95(found)),
            milliseconds(costs.get((who, size, name), 0.0)),
        )
        for (who, size, name), found in timings.items()
    ]
    table(("who", "steps", "question", "median", "p95", "CPU"), rows)
    ratios = {
        f"wlmscpfs_{size}": median(timings["wlmscpfs", size, "day"]) / median(timings["sqlite", size, "day"])
        for size in FILES
        if ("wlmscpfs", size, "day") in timings
    }
    largest = SIZES[-1]
    figures = {
        f"{kind}_{name}_{what}_ms": round(1000 * how(timings[kind, largest, name]), 1)
        for kind in ("sqlite", "postgresql")
        for name in ("day", "station")
        for what, how in (("median", median), ("p95", _p95))
    }
    result("worklist", ratios, figures)
