"""A process of its own that decompresses what senders wrote: what a hostile data set can do to a codec it does here,
within bounds of memory and time, and without any file.

A request is a line of JSON (``syntax``, ``length``) and so many bytes of a data set. An answer is frames of a kind and
a length: pieces of the data set as they are decoded, then its end or a failure.
"""

import json
import os
import resource
import struct
import sys
import warnings
from collections.abc import Callable
from typing import BinaryIO

from services.forwarding.domain.decompression import decompressed

FRAME = struct.Struct(">cI")
PIECE, END, FAILED, TOO_LARGE = b"p", b"e", b"f", b"l"
#: Bytes of a piece at most.
LONGEST = 1024 * 1024
_NICE = 10


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until there are no more requests or one fails: a codec that met an error is not asked again.

    The first line gives ``memory`` in bytes, and the ``seconds`` of CPU that one request may take.
    """
    bounds = json.loads(requests.readline())
    resource.setrlimit(resource.RLIMIT_AS, (bounds["memory"], bounds["memory"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump would hold what a patient's data set held

    def send(kind: bytes, content: bytes) -> None:
        answers.write(FRAME.pack(kind, len(content)) + content)
        answers.flush()

    try:
        for line in iter(requests.readline, b""):
            _bound_time(bounds["seconds"])
            _answer(json.loads(line), requests, send)
    except MemoryError:
        send(TOO_LARGE, b"")
    except Exception as error:
        # Its text may hold what is in the data set; it stays here.
        send(FAILED, type(error).__name__.encode())


def _bound_time(seconds: int) -> None:
    """From now on so many seconds of CPU; the system ends a process that needs more."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _answer(request: dict[str, object], requests: BinaryIO, send: Callable[[bytes, bytes], None]) -> None:
    length = int(str(request["length"]))
    data = requests.read(length)
    if len(data) < length:
        return  # who asked went away
    for piece in decompressed(data, str(request["syntax"])):
        view = memoryview(piece)
        for start in range(0, len(view), LONGEST):
            send(PIECE, bytes(view[start : start + LONGEST]))
    send(END, b"")


def main() -> None:
    """Over standard input and output; whatever a library prints goes nowhere. Who forwards as it is goes first."""
    os.nice(_NICE)
    warnings.simplefilter("ignore")
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
