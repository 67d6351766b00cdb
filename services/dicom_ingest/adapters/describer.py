"""A process of its own that reads what senders wrote: parsing takes nothing from those who receive meanwhile, and what
a hostile data set can do to a parser it does here, within bounds.

A request is a line of JSON. An answer is frames of a kind, a length and so many bytes: headers as they are rendered,
then the manifest, then what it says of the study; or else a failure. The number of the instance that is looked at lies
in a file that both have open, for the case that this process ends there, or goes no further.
"""

import gc
import json
import os
import resource
import struct
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from contracts.formats.manifest import write_manifest
from services.dicom_ingest.adapters.spooled import closed_journal
from services.dicom_ingest.domain.bounds import Bounds
from services.dicom_ingest.domain.description import describe_batch
from services.dicom_ingest.domain.instance import Issuers, RecordDamaged
from shared.identity import SiteKey

FRAME = struct.Struct(">cI")
#: The number of an instance, from 1; 0 before the first.
PROGRESS = struct.Struct("<Q")
HEADERS, MANIFEST, STUDY, DAMAGED, FAILED = b"h", b"m", b"s", b"d", b"f"
_TOGETHER = 256 * 1024
_NICE = 10
#: Bytes that are digested in a second of CPU even on a slow machine, several times over.
_SLOWEST = 16 * 1024 * 1024
#: So many objects more than before, and the garbage collector looks for cycles.
_NEW_OBJECTS = 50_000


@dataclass(frozen=True)
class _How:
    """How to describe: ``seconds`` of CPU for an instance, besides those that its length allows."""

    site_key: SiteKey
    issuers: Issuers
    seconds: float
    bounds: Bounds


def cpu_seconds(base: float, length: int) -> float:
    """Seconds of CPU that an instance of ``length`` bytes may take: digests read all of it."""
    return base + length / _SLOWEST


class Headers:
    """Lines on their way into frames, some at a time."""

    def __init__(self, send: Callable[[bytes, bytes], None]) -> None:
        self._send = send
        self._held = bytearray()

    def write(self, line: bytes) -> None:
        """One more line."""
        self._held += line
        if len(self._held) >= _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Send what is held."""
        self._send(HEADERS, bytes(self._held))
        self._held.clear()


def serve(requests: BinaryIO, answers: BinaryIO, progress: int) -> None:
    """Answer until there are no more requests; the first line says how to describe. ``progress`` is a file's handle."""
    given = json.loads(requests.readline())
    resource.setrlimit(resource.RLIMIT_AS, (given["memory"], given["memory"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump would hold what a patient's data set held
    how = _How(
        SiteKey.load(Path(given["site_key_file"])),
        Issuers(given["patient_issuer"], given["order_issuer"]),
        given["seconds"],
        Bounds(**given["bounds"]),
    )

    def send(kind: bytes, content: bytes) -> None:
        answers.write(FRAME.pack(kind, len(content)) + content)
        answers.flush()

    for line in iter(requests.readline, b""):
        try:
            _describe(json.loads(line), send, progress, how)
        except RecordDamaged:
            send(DAMAGED, b"")
        except Exception as error:
            # Its text may hold what is in the data set; it stays here.
            send(FAILED, type(error).__name__.encode())


def _bound_time(seconds: float) -> None:
    """From now on so many seconds of CPU; the system ends a process that needs more (SIGXCPU)."""
    limit = int(time.process_time() + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _describe(
    request: dict[str, Any],
    send: Callable[[bytes, bytes], None],
    progress: int,
    how: _How,
) -> None:
    path, left_out = Path(request["path"]), set(request["left_out"])
    journal = closed_journal(path)
    records = [record for number, record in enumerate(journal.records) if number not in left_out]
    handle, headers = os.open(path, os.O_RDONLY), Headers(send)

    def begin(number: int) -> None:
        os.pwrite(progress, PROGRESS.pack(number), 0)
        _bound_time(cpu_seconds(how.seconds, records[number - 1].length))

    try:
        manifest = describe_batch(
            journal.opening,
            records,
            lambda offset, count: os.pread(handle, count, offset),
            headers.write,
            site_key=how.site_key,
            issuers=how.issuers,
            unread=set(request["unread"]),
            begin=begin,
            bounds=how.bounds,
        )
    finally:
        os.close(handle)
    headers.flush()
    send(MANIFEST, write_manifest(manifest))
    send(STUDY, json.dumps([manifest.study_uid, manifest.study_ref]).encode())


def main() -> None:
    """Over standard input and output; whatever a library prints goes nowhere. Who waits for an answer goes first."""
    os.nice(_NICE)
    warnings.simplefilter("ignore")
    # What it makes of a batch holds no cycles, and stays until the batch is told.
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS)
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        serve(sys.stdin.buffer, answers, int(sys.argv[1]))


if __name__ == "__main__":
    main()
