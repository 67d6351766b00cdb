"""FHIR searches over HTTP among 10,000 and 1,000,000 ImagingStudy resources, on SQLite and on PostgreSQL.

Each database also holds an order for each study and a patient for every five. One client asks, one request after the
other, with other values each time; the server is the one of the services, with its log. Beside each search the same
database is asked for what none can do without: a page's worth of rows by their keys, their JSON decoded.

``CAUSEWAY_BENCH_STUDIES`` takes the place of the million, ``CAUSEWAY_BENCH_DATABASES`` names one of the two. SQLite's
files lie in ``CAUSEWAY_BENCH_DIR``.
"""

import asyncio
import http.client
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from sqlalchemy import Engine, create_engine, text

from bench import fhir_data
from bench.fhir_data import Loader, PostgresLoader, SqliteLoader
from bench.support import median, result, table
from services.hl7_fhir.adapters.resources import SqlResources
from services.hl7_fhir.adapters.writing import SqlWriter
from services.hl7_fhir.handlers import Fhir, Writing
from shared.http import HttpServer
from shared.identity import SiteKey
from shared.observability.logs import configure_logs
from shared.settings import ServiceSettings
from shared.sql import Database
from tests.support.postgres import Postgres

SMALL = 10_000
LARGE = int(os.environ.get("CAUSEWAY_BENCH_STUDIES", "1000000"))
DATABASES = os.environ.get("CAUSEWAY_BENCH_DATABASES", "sqlite postgresql").split()
REQUESTS = 100
_COUNT = 20
_DEEP = 200

Query = list[tuple[str, str]]


@dataclass(frozen=True)
class Site:
    """A loaded database behind the API."""

    name: str
    studies: int
    port: int
    engine: Engine


def main() -> int:
    """Load, ask, print the times and how they grow."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("CAUSEWAY_BENCH_DIR")) as name, ExitStack() as stack:
        folder = Path(name)
        postgres = stack.enter_context(_postgres())
        sites = [site for size in (SMALL, LARGE) for site in stack.enter_context(_sites(folder, postgres, size))]
        times = {(site.name, site.studies): _measure(site) for site in sites}
    _show(times)
    return 0


@contextmanager
def _postgres() -> Iterator[Postgres]:
    # PostgreSQL does not run as root: its folder must be one that its own user may enter.
    with tempfile.TemporaryDirectory(prefix="causeway-bench-", ignore_cleanup_errors=True) as folder:
        cluster = Postgres(Path(folder))
        cluster.server.start()
        try:
            yield cluster
        finally:
            cluster.server.kill()


@contextmanager
def _sites(folder: Path, postgres: Postgres, studies: int) -> Iterator[list[Site]]:
    path = folder / f"{studies}.sqlite3"
    urls = {"sqlite": f"sqlite:///{path}", "postgresql": postgres.database()}
    urls = {name: url for name, url in urls.items() if name in DATABASES}
    for url in urls.values():
        asyncio.run(_migrate(url))
    begun = time.perf_counter()
    loaders: list[Loader] = [SqliteLoader(str(path))] if "sqlite" in urls else []
    loaders += [PostgresLoader(urls["postgresql"])] if "postgresql" in urls else []
    for chunk in fhir_data.chunks(studies):
        for loader in loaders:
            loader.add(chunk)
    for loader in loaders:
        loader.finish()
    print(f"{studies:,} studies loaded in {time.perf_counter() - begun:,.0f} s", flush=True)
    with ExitStack() as stack:
        yield [Site(name, studies, stack.enter_context(_served(url)), create_engine(url)) for name, url in urls.items()]


async def _migrate(url: str) -> None:
    database = Database(url)
    await database.migrate("services.hl7_fhir.migrations")
    await database.run(lambda connection: connection.execute(text("DELETE FROM search_state")))
    await database.close()


@contextmanager
def _served(url: str) -> Iterator[int]:
    """The API on a port of loopback, its event loop on a thread of its own."""
    ready: list[int] = []
    started, stop = threading.Event(), asyncio.Event()

    async def serve() -> None:
        database = Database(url)
        api = Fhir(SqlResources(database), SiteKey(bytes(32)), datetime.now(UTC), Writing(SqlWriter(database)))
        server = HttpServer(ServiceSettings(), routes=api.routes())
        server.start()
        ready.append(server.port)
        started.set()
        await stop.wait()
        await server.stop()
        await database.close()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    configure_logs("hl7_fhir", out=open(os.devnull, "w"))  # noqa: SIM115  # for as long as the process lives
    thread.start()
    started.wait()
    try:
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def _searches(studies: int) -> dict[str, Callable[[random.Random], Query]]:
    """The mix, each with other values every time."""

    def number(chance: random.Random) -> int:
        return chance.randrange(studies)

    def patient(chance: random.Random) -> int:
        return chance.randrange(studies // fhir_data.STUDIES_OF_A_PATIENT)

    def month(chance: random.Random) -> Query:
        begin = fhir_data.BEGUN + timedelta(days=chance.randrange(fhir_data.DAYS - 31))
        end = begin + timedelta(days=30)
        code = chance.choice(fhir_data.MODALITIES)
        return [("modality", code), ("started", f"ge{begin:%Y-%m-%d}"), ("started", f"lt{end:%Y-%m-%d}")]

    def window(chance: random.Random) -> Query:
        end = fhir_data.updated(number(chance), studies)
        begin = end - timedelta(hours=2)
        return [("_lastUpdated", f"{prefix}{at:%Y-%m-%dT%H:%M:%SZ}") for prefix, at in (("gt", begin), ("le", end))]

    return {
        "study UID": lambda chance: [("identifier", f"urn:dicom:uid|urn:oid:{fhir_data.uid(number(chance))}")],
        "accession": lambda chance: [("identifier", f"ACC{number(chance)}")],
        "accession of the order": lambda chance: [("basedon.identifier", f"{fhir_data.RIS}|ACC{number(chance)}")],
        "patient": lambda chance: [("patient", fhir_data.patient_id(patient(chance)))],
        "patient's number": lambda chance: [("patient.identifier", f"{fhir_data.HIS}|P{patient(chance)}")],
        "patient, latest first": lambda chance: [
            ("patient", fhir_data.patient_id(patient(chance))),
            ("_sort", "-started"),
        ],
        "modality and month": month,
        "last changes": window,
        "with the patient": lambda chance: [*month(chance), ("_include", "ImagingStudy:patient")],
    }


def _measure(site: Site) -> dict[str, list[float]]:
    """Milliseconds of each request, by search."""
    times: dict[str, list[float]] = defaultdict(list)
    connection = http.client.HTTPConnection("127.0.0.1", site.port)
    chance = fhir_data.choose(site.studies, 1)
    searches = _searches(site.studies)
    for make in searches.values():  # what only the first requests pay
        for _ in range(5):
            _ask(connection, _path(make(chance)))
    for _ in range(REQUESTS):
        for name, make in searches.items():
            times[name].append(_ask(connection, _path(make(chance)))[0])
        times["a row by its key"].append(_row(site, chance))
    times["next page at depth"] = _deep(connection, site.studies)
    connection.close()
    return times


def _path(query: Query) -> str:
    return f"/fhir/ImagingStudy?{urlencode([*query, ('_count', str(_COUNT))])}"


def _ask(connection: http.client.HTTPConnection, path: str) -> tuple[float, dict[str, Any]]:
    begun = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    content = answer.read()
    taken = 1000 * (time.perf_counter() - begun)
    if answer.status != 200:
        raise RuntimeError(f"status {answer.status}: {json.loads(content)['issue'][0]['diagnostics']}")
    return taken, json.loads(content)


def _deep(connection: http.client.HTTPConnection, studies: int) -> list[float]:
    """Pages of all available CT studies, after a fifth of the database's, at most after ten thousand."""
    _, page = _ask(connection, f"/fhir/ImagingStudy?modality=CT&status=available&_count={_DEEP}")
    for _ in range(min(10_000, studies // 10) // _DEEP):
        _, page = _ask(connection, _next(page))
    times: list[float] = []
    for _ in range(REQUESTS):
        taken, page = _ask(connection, _next(page).replace(f"_count={_DEEP}", f"_count={_COUNT}"))
        times.append(taken)
    return times


def _next(page: dict[str, Any]) -> str:
    parts = urlsplit(next(one["url"] for one in page["link"] if one["relation"] == "next"))
    return f"{parts.path}?{parts.query}"


def _row(site: Site, chance: random.Random) -> float:
    """The limit: a page's worth of rows by their key, their JSON decoded, nothing else."""
    ids = [fhir_data.uid_id(chance.randrange(site.studies)) for _ in range(_COUNT)]
    wanted = text("SELECT body FROM resources WHERE type = 'ImagingStudy' AND id = :id")
    begun = time.perf_counter()
    with site.engine.connect() as connection:
        for one in ids:
            json.loads(connection.execute(wanted, {"id": one}).scalar_one())
    return 1000 * (time.perf_counter() - begun)


def _p95(times: list[float]) -> float:
    return sorted(times)[max(0, int(len(times) * 0.95) - 1)]


def _show(times: dict[tuple[str, int], dict[str, list[float]]]) -> None:
    print(f"\nFHIR searches over HTTP, pages of {_COUNT}: milliseconds, median and 95th percentile of {REQUESTS}\n")
    rows = [
        (database, name, *(figure(times[database, size][name]) for size in (SMALL, LARGE) for figure in (median, _p95)))
        for database in DATABASES
        for name in times[database, LARGE]
    ]
    table(("database", "search", "10,000", "p95", f"{LARGE:,}", "p95"), rows)
    ratios: dict[str, float] = {}
    figures: dict[str, float] = {}
    for database in DATABASES:
        small, large = (_mixed(times[database, size]) for size in (SMALL, LARGE))
        figures[f"p95_ms_{database}"] = round(_p95(large), 2)
        ratios[f"growth_{database}"] = _p95(large) / _p95(small)
        ratios[f"rows_by_key_{database}"] = median(times[database, LARGE]["a row by its key"]) / median(large)
    result("fhir_search", ratios, figures)


def _mixed(times: dict[str, list[float]]) -> list[float]:
    return [each for name, found in times.items() if name != "a row by its key" for each in found]


if __name__ == "__main__":
    sys.exit(main())
