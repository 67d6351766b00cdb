"""A process of its own that reads what senders wrote: parsing takes nothing from those who receive meanwhile, and what
a hostile data set can do to a parser it does here, within bounds.

A request is a line of JSON. An answer is frames of a kind, a length and so many bytes: headers as they are rendered,
then the manifest, then what it says of the study; or else a failure. The number of the instance that is looked at lies
in a file that both have open: nobody reads it unless this process ends.
"""

import gc
import json
import os
import resource
import struct
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from contracts.formats.manifest import write_manifest
from services.dicom_ingest.adapters.spooled import closed_journal
from services.dicom_ingest.domain.description import describe_batch
from services.dicom_ingest.domain.instance import Issuers, RecordDamaged
from shared.identity import SiteKey

FRAME = struct.Struct(">cI")
#: The number of an instance, from 1; 0 before the first.
PROGRESS = struct.Struct("<Q")
HEADERS, MANIFEST, STUDY, DAMAGED, FAILED = b"h", b"m", b"s", b"d", b"f"
_TOGETHER = 256 * 1024
_NICE = 10
#: So many objects more than before, and the garbage collector looks for cycles.
_NEW_OBJECTS = 50_000


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
    site_key = SiteKey.load(Path(given["site_key_file"]))
    issuers = Issuers(given["patient_issuer"], given["order_issuer"])

    def send(kind: bytes, content: bytes) -> None:
        answers.write(FRAME.pack(kind, len(content)) + content)
        answers.flush()

    for line in iter(requests.readline, b""):
        try:
            _describe(json.loads(line), send, progress, site_key, issuers)
        except RecordDamaged:
            send(DAMAGED, b"")
        except Exception as error:
            # Its text may hold what is in the data set; it stays here.
            send(FAILED, type(error).__name__.encode())


def _describe(
    request: dict[str, Any],
    send: Callable[[bytes, bytes], None],
    progress: int,
    site_key: SiteKey,
    issuers: Issuers,
) -> None:
    path, left_out = Path(request["path"]), set(request["left_out"])
    journal = closed_journal(path)
    records = [record for number, record in enumerate(journal.records) if number not in left_out]
    handle, headers = os.open(path, os.O_RDONLY), Headers(send)
    try:
        manifest = describe_batch(
            journal.opening,
            records,
            lambda offset, count: os.pread(handle, count, offset),
            headers.write,
            site_key=site_key,
            issuers=issuers,
            unread=set(request["unread"]),
            begin=lambda number: os.pwrite(progress, PROGRESS.pack(number), 0),
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
