"""A process of its own that decompresses and encodes anew what senders wrote: what a hostile data set can do to a codec
it does here, within bounds of memory and time, and without any file.

A request is a line of JSON (``syntax``, ``target``, ``length``) and so many bytes of a data set. An answer is frames of
a kind and a length: pieces of the data set in the syntax ``target`` as they are made, then its end or a failure.
"""

import json
import os
import resource
import struct
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import BinaryIO

from services.forwarding.domain.decompression import decompressed
from services.forwarding.domain.encodings import NotEncodable, encoded
from services.forwarding.domain.syntaxes import EXPLICIT, NATIVE

FRAME = struct.Struct(">cI")
PIECE, END, FAILED, NOT_ENCODABLE, TOO_LARGE = b"p", b"e", b"f", b"n", b"l"
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
    except NotEncodable as error:
        send(NOT_ENCODABLE, str(error).encode())
    except Exception as error:
        # Its text may hold what is in the data set; it stays here.
        send(FAILED, type(error).__name__.encode())


def _bound_time(seconds: int) -> None:
    """From now on so many seconds of CPU; the system ends a process that needs more."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _answer(request: dict[str, object], requests: BinaryIO, send: Callable[[bytes, bytes], None]) -> None:
    source, target, length = str(request["syntax"]), str(request["target"]), int(str(request["length"]))
    if source in NATIVE:
        pieces = encoded(_received(requests, length, LONGEST), source, target)
    else:
        pieces = decompressed(b"".join(_received(requests, length, length)), source)
        pieces = pieces if target == EXPLICIT else encoded(pieces, EXPLICIT, target)
    for piece in pieces:
        view = memoryview(piece)
        for start in range(0, len(view), LONGEST):
            send(PIECE, bytes(view[start : start + LONGEST]))
    send(END, b"")


def _received(requests: BinaryIO, length: int, longest: int) -> Iterator[bytes]:
    """A data set in pieces of at most ``longest`` bytes; EOFError when who asked goes away."""
    while length:
        chunk = requests.read(min(length, longest))
        if not chunk:
            raise EOFError
        length -= len(chunk)
        yield chunk


def main() -> None:
    """Over standard input and output; whatever a library prints goes nowhere. Who forwards as it is goes first."""
    os.nice(_NICE)
    warnings.simplefilter("ignore")
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
