"""A process of its own that decodes, examines, blanks and encodes what senders wrote: what a hostile frame can do to a
codec it does here, within bounds of memory and time, and without any file.

A request is a line of JSON (``do``, ``length`` and more) and so many bytes of a frame; an answer the same way.
"""

import json
import os
import resource
import sys
import warnings
from collections.abc import Mapping
from typing import Any, BinaryIO

from services.deid.adapters.examining import Examiner


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until there are no more requests or one fails: a codec that met an error is not asked again.

    The first line gives ``memory`` in bytes, and the ``seconds`` of CPU that one request may take.
    """
    bounds = json.loads(requests.readline())
    resource.setrlimit(resource.RLIMIT_AS, (bounds["memory"], bounds["memory"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump would hold what a patient's data set held
    examiner = Examiner()

    def send(facts: Mapping[str, Any], content: bytes = b"") -> None:
        answers.write(json.dumps({**facts, "length": len(content)}).encode() + b"\n" + content)
        answers.flush()

    try:
        for line in iter(requests.readline, b""):
            _bound_time(bounds["seconds"])
            request = json.loads(line)
            frame = requests.read(request["length"])
            if len(frame) < request["length"]:
                return  # who asked went away
            facts, content = examiner.answer(request, frame)
            send(facts, content)
    except MemoryError:
        send({"failed": "too-large"})
    except Exception as error:
        # Its text may hold what is in the frame; it stays here.
        send({"failed": type(error).__name__})


def _bound_time(seconds: int) -> None:
    """From now on so many seconds of CPU; the system ends a process that needs more."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def main() -> None:
    """Over standard input and output; whatever a library prints goes nowhere."""
    warnings.simplefilter("ignore")
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
