"""What a process of the site wrote last about its own end, from its log."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

#: How much of a log's end is looked at, bytes, and how many lines are shown.
_TAIL = 256 * 1024
_LINES = 12
_TRACEBACK = "Traceback (most recent call last):"


def size_of(log: Path) -> int:
    """How long a log is, bytes: what is written from now on begins there."""
    return log.stat().st_size if log.exists() else 0


def last_error(log: Path, since: int = 0) -> str:
    """The last error in ``log`` from byte ``since`` on: an exception's own lines, without where it came from, or what
    was logged as an error; else the last line. "" for an empty log, or none."""
    try:
        with log.open("rb") as file:
            file.seek(max(since, size_of(log) - _TAIL))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return "\n".join(_last(lines)[:_LINES])


def _last(lines: Iterable[str]) -> list[str]:
    found: list[str] = []
    plain: list[str] = []
    among_frames = in_message = False
    for line in lines:
        logged = _logged(line)
        if logged is not None:
            among_frames = in_message = False
            found = [_told(logged)] if logged.get("level") in ("error", "critical") else found
        elif line.startswith(_TRACEBACK):
            among_frames, in_message = True, False
        elif among_frames and line and not line[0].isspace():
            among_frames, in_message, found = False, True, [line]
        elif in_message and line.strip():
            found.append(line)
        elif line.strip():
            plain = [line]
    return found or plain


def _logged(line: str) -> dict[str, Any] | None:
    """What a service logged (shared/observability/logs.py); None of anything else."""
    try:
        told = json.loads(line) if line.startswith("{") else None
    except ValueError:
        return None
    return told if isinstance(told, dict) and "event" in told else None


def _told(logged: dict[str, Any]) -> str:
    """The event with what is told of the error: its class, its reason, its causes, and the place."""
    words = [str(logged[name]) for name in ("error", "reason") if logged.get(name)]
    words += [f"because of {', '.join(logged['causes'])}"] if logged.get("causes") else []
    words += [f"at {logged['frames'][-1]}"] if logged.get("frames") else []
    return f"{logged['event']}: {' '.join(words)}" if words else str(logged["event"])
