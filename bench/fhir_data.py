"""A database full of studies, orders and patients, written fast, for bench/fhir_search.

The bodies and the rows of the index are those that the service makes; only the way into the tables is shorter: one
bulk load, indexes after. Versions of the past are left out, no search looks at them.
"""

import json
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Protocol

import psycopg

from services.hl7_fhir.domain.fhir.dates import covered
from services.hl7_fhir.domain.fhir.indexing import rows
from services.hl7_fhir.domain.fhir.parameters import parameters

BEGUN = datetime(2016, 1, 1, tzinfo=UTC)
DAYS = 3650
MODALITIES = ("CT", "CT", "CT", "CT", "MR", "MR", "US", "DX", "DX", "PT")
DCM = "http://dicom.nema.org/resources/ontology/DCM"
HIS, RIS = "urn:x-causeway:issuer:HIS", "urn:x-causeway:issuer:RIS"
STUDIES_OF_A_PATIENT = 5
_CHUNK = 2000

Json = dict[str, Any]


def started(number: int, of: int) -> datetime:
    """When study ``number`` was: they are spread evenly over ten years."""
    return BEGUN + timedelta(seconds=int(DAYS * 86_400 * number / of))


def updated(number: int, of: int) -> datetime:
    """When study ``number`` last changed: some hours after it began."""
    return started(number, of) + timedelta(hours=3, milliseconds=number % 1000)


def modality(number: int) -> str:
    """The modality of study ``number``."""
    return MODALITIES[number * 7919 % len(MODALITIES)]


def uid(number: int) -> str:
    """The study's UID."""
    return f"1.2.826.0.1.3680043.8.498.{number * 2654435761 % 2**32:010d}{number:010d}"


def study(name: str, number: str, code: str, when: str, patient: str, order: str) -> Json:
    """An ImagingStudy of three series, four instances of each listed: some 4 kB."""
    coding = {"system": DCM, "code": code}
    return {
        "resourceType": "ImagingStudy",
        "identifier": [
            {"system": "urn:dicom:uid", "value": f"urn:oid:{name}"},
            {"type": {"coding": [{"code": "ACSN"}]}, "system": RIS, "value": f"ACC{number}"},
        ],
        "status": "available",
        "modality": [coding],
        "subject": {"reference": f"Patient/{patient}", "type": "Patient"},
        "started": when,
        "basedOn": [{"reference": f"ServiceRequest/{order}", "type": "ServiceRequest"}],
        "referrer": {"display": "House, Gregory"},
        "endpoint": [{"reference": "Endpoint/dicomweb"}],
        "numberOfSeries": 3,
        "numberOfInstances": 320,
        "procedureCode": [{"coding": [{"system": "http://loinc.org", "code": "24627-2", "display": "CT Chest"}]}],
        "description": "CT chest with contrast",
        "series": [_series(name, each, coding) for each in (1, 2, 3)],
    }


def _series(name: str, number: int, coding: Json) -> Json:
    return {
        "uid": f"{name}.{number}",
        "number": number,
        "modality": coding,
        "description": ("Scout", "Axial 1.0 mm", "Coronal 3.0 mm")[number - 1],
        "numberOfInstances": 106,
        "endpoint": [{"reference": "Endpoint/dicomweb"}],
        "bodySite": {"system": "http://snomed.info/sct", "code": "51185008", "display": "Thoracic structure"},
        "instance": [
            {
                "uid": f"{name}.{number}.{each}",
                "sopClass": {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.840.10008.5.1.4.1.1.2"},
                "number": each,
            }
            for each in (1, 2, 3, 4)
        ],
    }


def patient_id(number: int) -> str:
    """The logical id of a patient: 32 hexadecimal digits, as the service makes them."""
    return f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}{number:016x}"


def order_id(number: int) -> str:
    """The logical id of a study's order."""
    return f"{number * 0xC2B2AE3D27D4EB4F % 2**64:016x}{number:016x}"


def _patient(number: str, family: str, given: str, gender: str) -> Json:
    return {
        "resourceType": "Patient",
        "identifier": [{"system": HIS, "value": f"P{number}"}],
        "name": [{"family": f"Family{family}", "given": [f"Given{given}"]}],
        "gender": gender,
    }


def _order(number: str, patient: str) -> Json:
    return {
        "resourceType": "ServiceRequest",
        "identifier": [{"type": {"coding": [{"code": "ACSN"}]}, "system": RIS, "value": f"ACC{number}"}],
        "status": "completed",
        "intent": "order",
        "subject": {"reference": f"Patient/{patient}", "type": "Patient"},
    }


def uid_id(number: int) -> str:
    """The logical id of a study."""
    return f"{number * 0xD6E8FEB86659FD93 % 2**64:016x}{number:016x}"


class Mould:
    """A kind of resource with marks for what differs: its JSON and rows are made once, the marks filled in often."""

    def __init__(self, make: Callable[..., Json], *marks: str) -> None:
        body = make(*(f"<{mark}>" for mark in marks))
        found = rows(body["resourceType"], body)
        self.kind = body["resourceType"]
        self.present = found.present
        self._marks = [f"<{mark}>" for mark in marks]
        tokens = [f"{parameter}\t{value}\t<row>\t{system}" for parameter, value, system in sorted(found.tokens)]
        strings = [f"{parameter}\t{value}\t<row>\t{exact}" for parameter, value, exact in sorted(found.strings)]
        self._text = "\n\n".join((json.dumps(body), "\n".join(tokens), "\n".join(strings)))

    def fill(self, row: int, values: Sequence[str]) -> tuple[str, list[str], list[str]]:
        """JSON, token lines and string lines of the resource with the number ``row``."""
        text = self._text.replace("<row>", str(row))
        for mark, value in zip(self._marks, values, strict=True):
            text = text.replace(mark, value)
        body, tokens, strings = text.split("\n\n")
        return body, tokens.split("\n"), strings.split("\n") if strings else []


_STUDY = ("uid", "number", "code", "when", "patient", "order")


@dataclass
class Chunk:
    """Rows on their way into the tables: tokens and strings as lines of COPY, the others as tuples."""

    resources: list[tuple[Any, ...]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    dates: list[tuple[Any, ...]] = field(default_factory=list)
    strings: list[str] = field(default_factory=list)

    def add(self, mould: Mould, row: int, name: str, values: Sequence[str], changed: datetime, when: str = "") -> None:
        """One resource with all its rows; ``when`` is its date, if it has one."""
        body, tokens, strings = mould.fill(row, values)
        present = mould.present | (parameters("ImagingStudy")["started"].bit if when else 0)
        self.resources.append((row, mould.kind, name, 1, changed, "0" * 32, None, present, "{}", body))
        self.tokens += tokens
        self.strings += strings
        if when and (span := covered(when)):
            self.dates.append((parameters("ImagingStudy")["started"].number, 0, span.low, row, span.high))


def chunks(studies: int) -> Iterator[Chunk]:
    """All that a database of so many studies holds, in the order in which it came."""
    moulds = Mould(_patient, "number", "family", "given", "gender"), Mould(_order, "number", "patient")
    pictures = Mould(study, *_STUDY)
    row, chunk = count(1), Chunk()
    for number in range(studies):
        patient, order, when = number // STUDIES_OF_A_PATIENT, order_id(number), started(number, studies)
        owner = patient_id(patient)
        if number % STUDIES_OF_A_PATIENT == 0:
            said = (str(patient), str(patient % 5000), str(patient % 300), ("male", "female")[patient % 2])
            chunk.add(moulds[0], next(row), owner, said, when)
        chunk.add(moulds[1], next(row), order, (str(number), owner), when)
        values = (uid(number), str(number), modality(number), when.isoformat(), owner, order)
        chunk.add(pictures, next(row), uid_id(number), values, updated(number, studies), when.isoformat())
        if number % _CHUNK == _CHUNK - 1 or number == studies - 1:
            _check(chunk)
            yield chunk
            chunk = Chunk()


def _check(chunk: Chunk) -> None:
    """That the last study's rows are those that the service would make."""
    row, kind, *_, body = chunk.resources[-1]
    found = rows(kind, json.loads(body))
    lines = {f"{parameter}\t{value}\t{row}\t{system}" for parameter, value, system in found.tokens}
    spans = {(parameter, width, low, row, high) for parameter, width, low, high in found.dates}
    if lines - set(chunk.tokens) or spans - set(chunk.dates) or chunk.resources[-1][7] != found.present:
        raise RuntimeError("the rows are not those of the service")


class Loader(Protocol):
    """Takes chunks into a database whose tables are there and empty."""

    def add(self, chunk: Chunk) -> None:
        """Write the rows."""

    def finish(self) -> None:
        """Make the indexes, and let the database look at what it has."""


_COLUMNS = {
    "resources": "number, type, id, version, updated, message_ref, patient, present, record, body",
    "search_tokens": "parameter, value, number, system",
    "search_dates": "parameter, width, low, number, high",
    "search_strings": "parameter, value, number, exact",
}


def _parts(chunk: Chunk) -> list[tuple[str, list[Any]]]:
    return list(zip(_COLUMNS, (chunk.resources, chunk.tokens, chunk.dates, chunk.strings), strict=True))


class SqliteLoader:
    """SQLite: tokens go into a heap first and from there, sorted, into their table."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-500000"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("BEGIN")
        self._connection.execute("CREATE TABLE heap AS SELECT parameter, value, number, system FROM search_tokens")

    def add(self, chunk: Chunk) -> None:
        """Write the rows."""
        for table, found in _parts(chunk):
            into = "heap" if table == "search_tokens" else table
            if table == "resources":  # as SQLAlchemy writes times
                found = [(*row[:4], row[4].strftime("%Y-%m-%d %H:%M:%S.%f"), *row[5:]) for row in found]
            if found and isinstance(found[0], str):
                found = [line.split("\t") for line in found]
            marks = ", ".join("?" * len(_COLUMNS[table].split(", ")))
            self._connection.executemany(f"INSERT INTO {into} ({_COLUMNS[table]}) VALUES ({marks})", found)

    def finish(self) -> None:
        """Sort the tokens in."""
        self._connection.execute(
            "INSERT INTO search_tokens SELECT parameter, value, number, system FROM heap ORDER BY 1, 2, 3, 4"
        )
        self._connection.execute("DROP TABLE heap")
        self._connection.execute("COMMIT")
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.close()


class PostgresLoader:
    """PostgreSQL: COPY, and the keys after it."""

    _KEYS = ("search_tokens", "search_dates", "search_strings")

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
        self._connection.execute("SET synchronous_commit = off")
        self._connection.execute("SET maintenance_work_mem = '1GB'")
        for table in self._KEYS:
            self._connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey")

    def add(self, chunk: Chunk) -> None:
        """Write the rows."""
        for table, found in _parts(chunk):
            with self._connection.cursor().copy(f"COPY {table} ({_COLUMNS[table]}) FROM STDIN") as copy:
                copy.write("".join(map(_line, found)))

    def finish(self) -> None:
        """Make the keys as the migration does."""
        for table in self._KEYS:
            order = _COLUMNS[table]
            self._connection.execute(f"ALTER TABLE {table} ADD PRIMARY KEY ({order})")
        self._connection.execute("VACUUM ANALYZE")
        self._connection.close()


def _line(row: tuple[Any, ...] | str) -> str:
    if isinstance(row, str):
        return row + "\n"
    return "\t".join("\\N" if value is None else str(value).replace("\\", "\\\\") for value in row) + "\n"


def choose(studies: int, seed: int) -> random.Random:
    """The same choices for every database of a size."""
    return random.Random(f"{studies}/{seed}")
