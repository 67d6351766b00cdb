"""The process that looks at pictures (pictures_process.py), as de-identification uses it."""

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from services.deid.domain.pictures.boxes import Box, Boxes, without_repeats
from services.deid.domain.pictures.devices import Devices, standard_devices
from services.deid.domain.pictures.picture import Picture
from services.deid.domain.pictures.retouch import Found, Order
from services.deid.domain.pictures.series import looked_at_singly
from services.deid.domain.withholding import Reason, Withheld
from shared.errors import RetryLater
from shared.observability import logger

log = logger("causeway.deid.pictures")
_PIECE = 1 << 20


@dataclass(frozen=True)
class Bounds:
    """What the process may map (bytes), how long it may work at one frame (seconds of CPU), and how long until an
    answer (seconds by the clock)."""

    memory: int = 4 << 30
    seconds: int = 60
    wait: int = 600


class _Failed(Exception):
    """The process gave no answer."""


class ProcessPictures:
    """Asks processes, one for each object at work; they start when they are needed, and again when one ended."""

    def __init__(self, bounds: Bounds | None = None, devices: Devices | None = None) -> None:
        self._bounds = bounds or Bounds()
        self.devices = devices or standard_devices()
        self._lock = Lock()
        self._idle: list[_Process] = []

    @classmethod
    def of(cls, devices_file: Path | None, memory: int, seconds: int) -> "ProcessPictures":
        """With a site's devices, and bounds of a process; DocumentRefused, OSError, UnicodeDecodeError of its file."""
        devices = standard_devices()
        if devices_file is not None:
            devices = devices.with_those_of(devices_file.read_text("utf-8"), str(devices_file))
        return cls(Bounds(memory, seconds), devices)

    def examine(self, order: Order, frames: Iterable[bytes]) -> Found:
        """Where text is in each of the frames."""
        by_frame, between = [], set[Box]()
        for boxes, before in self._looked("examine", order, frames):
            by_frame.append(boxes)
            between.update(before)
        return Found(tuple(by_frame), without_repeats(between))

    def reread(self, order: Order, frames: Iterable[bytes]) -> Iterator[tuple[int, Box]]:
        """Frames with what the second network finds in them; what many frames show together is told of their last."""
        for number, (boxes, before) in enumerate(self._looked("reread", order, frames)):
            yield from ((number - 1, box) for box in before)
            yield from ((number, box) for box in boxes)

    def _looked(self, do: str, order: Order, frames: Iterable[bytes]) -> Iterator[tuple[Boxes, Boxes]]:
        """Boxes of each frame, and of those before it that were looked at together."""
        singly = looked_at_singly(order.picture.frames)
        request = {**_asked(order), "do": do, "care": order.care.value}
        with self._process() as process:
            for number, frame in enumerate(frames):
                asked = {**request, "first": number == 0, "singly": number in singly}
                answer, _ = process.ask(asked, frame)
                yield tuple(Box(*box) for box in answer["boxes"]), tuple(Box(*box) for box in answer["between"])

    def clean(self, order: Order, found: Found, frames: Iterable[bytes], syntax: str) -> Iterator[bytes | None]:
        """Each frame with its boxes blanked, and those of others where it has text there, too."""
        singly, everywhere = looked_at_singly(order.picture.frames), found.all()
        request = {**_asked(order), "do": "clean", "syntax": syntax, "approved": order.approved}
        with self._process() as process:
            for number, frame in enumerate(frames):
                sure = order.regions + found.by_frame[number]
                maybe = [box for box in everywhere if not any(each.holds(box) for each in sure)]
                asked = {**request, "boxes": sure, "maybe": maybe, "singly": number in singly}
                answer, content = process.ask(asked, frame)
                if answer.get("left"):
                    raise Withheld(Reason.TEXT_LEFT)
                yield None if answer.get("same") else content

    def show(self, picture: Picture, frame: bytes) -> tuple[int, int, int, bytes]:
        """A frame for people: columns, rows, samples and its bytes. Raises Withheld when it can't be decoded."""
        request = {"do": "show", "picture": picture.facts(), "cleared_bits": 0}
        with self._process() as process:
            answer, content = process.ask(request, frame)
        rows, columns, *samples = answer["shape"]
        return columns, rows, samples[0] if samples else 1, content

    def decodes(self, picture: Picture, frame: bytes) -> bool:
        """True when CharLS, which refuses surplus bytes, decodes a frame. Raises Withheld when the process dies."""
        with self._process() as process:
            answer, _ = process.ask({"do": "decode", "picture": picture.facts()}, frame)
        return bool(answer["decoded"])

    async def stop(self) -> None:
        """Let the processes end when the service stops."""
        self.close()

    def close(self) -> None:
        """Let the processes end."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.end()

    @contextlib.contextmanager
    def _process(self) -> Iterator["_Process"]:
        with self._lock:
            process = self._idle.pop() if self._idle else None
        process = process or _Process(self._bounds)
        is_sound = False
        try:
            yield process
            is_sound = True
        except _Failed:
            raise Withheld(Reason.PIXELS_UNREADABLE) from None
        finally:
            # Nobody knows where in its answer another one is.
            if is_sound:
                with self._lock:
                    self._idle.append(process)
            else:
                process.end()


def _asked(order: Order) -> dict[str, Any]:
    """What every request about the picture says."""
    return {"picture": order.picture.facts(), "cleared_bits": order.cleared_bits}


class _Process:
    """One child, one question at a time."""

    def __init__(self, bounds: Bounds) -> None:
        command = (sys.executable, "-m", "services.deid.adapters.pictures_process")
        self._wait = bounds.wait
        try:
            self._child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError:  # no memory, no process, no file left: it says nothing of the instance
            raise RetryLater("pictures-not-started") from None
        self._unread = b""
        self._send(json.dumps(asdict(bounds)).encode() + b"\n")

    def ask(self, request: Mapping[str, Any], frame: bytes) -> tuple[dict[str, Any], bytes]:
        """Its answer: facts and bytes."""
        self._send(json.dumps({**request, "length": len(frame)}).encode() + b"\n")
        for start in range(0, len(frame), _PIECE):
            self._send(frame[start : start + _PIECE])
        facts = json.loads(self._line())
        if "failed" in facts:
            log.warning("picture-failed", error=facts["failed"])
            raise _Failed
        return facts, self._exactly(facts["length"])

    def end(self) -> None:
        """Kill it; it has no state that anybody misses."""
        self._child.kill()
        with self._child:
            pass

    def _send(self, data: bytes) -> None:
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(data)
            self._child.stdin.flush()
        except OSError:
            raise _Failed from None

    def _read(self) -> bytes:
        assert self._child.stdout is not None
        ready, _, _ = select.select([self._child.stdout], [], [], self._wait)
        data = os.read(self._child.stdout.fileno(), _PIECE) if ready else b""
        if not data:
            log.warning("pictures-process-died" if ready else "pictures-process-hangs")
            raise _Failed
        return data

    def _line(self) -> bytes:
        while b"\n" not in self._unread:
            self._unread += self._read()
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _exactly(self, length: int) -> bytes:
        pieces = [self._unread]
        have = len(self._unread)
        while have < length:
            pieces.append(self._read())
            have += len(pieces[-1])
        data = b"".join(pieces)
        self._unread = data[length:]
        return data[:length]
