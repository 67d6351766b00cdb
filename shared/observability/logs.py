"""Structured logs: one JSON object a line on standard error, with bound ids, the trace, and nothing that is not known.

Lines of libraries keep their logger, level and place in the source; their text may hold what came from a message or a
modality, so it is left out.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TextIO

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, WrappedLogger

from shared.errors import CausewayError
from shared.observability.guard import allowed, event_name
from shared.observability.names import NAME

_FRAMES = 12
_OWN = Path(__file__).resolve().parents[2]


def logger(name: str = "causeway") -> Any:
    """A logger: ``logger().info("pack-sealed", pack_id=…, bytes=…)``; the first word is a fixed code."""
    return structlog.get_logger(module=name)


def bound(**ids: Any) -> AbstractContextManager[Any]:
    """Bind ``ids`` to every line that is logged inside the ``with`` block, in this task and what it calls."""
    return structlog.contextvars.bound_contextvars(**ids)


def configure_logs(service: str, level: str = "INFO", out: TextIO | None = None) -> None:
    """Send this process's logs, and what libraries log, to ``out`` (standard error) as ``service``."""
    stream = out or sys.stderr
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)

    def name_service(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
        line.setdefault("service", service)
        return line

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            name_service,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            add_trace,
            describe_exception,
            guard_line,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    logging.root.handlers[:] = [LibraryHandler()]
    logging.root.setLevel(max(number, logging.WARNING))
    logging.captureWarnings(True)


class LibraryHandler(logging.Handler):
    """What a library logs, without its text."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger(module=record.name.lower()).log(
            record.levelno,
            "library-log",
            where=f"{Path(record.pathname).name}:{record.lineno} {record.funcName}",
            exc_info=record.exc_info or None,
        )


def add_trace(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """The ids of the current span."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        line["trace_id"] = trace.format_trace_id(context.trace_id)
        line["span_id"] = trace.format_span_id(context.span_id)
    return line


def describe_exception(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """An exception by its class, its reason code, its causes and its frames; never by its text."""
    given = line.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        line.setdefault("error", type(error).__name__)
        if isinstance(error, CausewayError):
            line.setdefault("reason", error.reason)
        line["causes"] = [type(cause).__name__ for cause in _causes(error)]
        line["frames"] = [_place(frame) for frame in traceback.extract_tb(error.__traceback__)[-_FRAMES:]]
    return line


def guard_line(_logger: WrappedLogger, _method: str, line: MutableMapping[str, Any]) -> dict[str, Any]:
    """Only what the registry allows; the names of dropped keys are told, so that one who misses them can register."""
    kept = {key: value for key, value in line.items() if key != "event" and allowed(key, value) and value is not None}
    dropped = sorted(key for key, value in line.items() if key not in kept and key != "event" and value is not None)
    named = [key for key in dropped if NAME.fullmatch(key)]
    return {"event": event_name(line.get("event")), **kept, **({"dropped": named[:32]} if named else {})}


def _causes(error: BaseException) -> list[BaseException]:
    causes: list[BaseException] = []
    while (error := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) and len(causes) < 8:  # type: ignore[assignment]
        causes.append(error)
    return causes


def _place(frame: traceback.FrameSummary) -> str:
    path = Path(frame.filename)
    shown = path.relative_to(_OWN) if path.is_relative_to(_OWN) else Path(*path.parts[-2:])
    return f"{shown.as_posix()}:{frame.lineno} {frame.name}"
