"""What is shown of a log when a process died: the error itself, not the way there."""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from pydantic import BaseModel

from cli.embedded.last_words import last_error, size_of
from shared.errors import Unprocessable
from shared.observability.logs import configure_logs, logger

READY = '{"event": "ready", "level": "info"}\n'


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "deid.log"


def traceback_of(error: Exception) -> str:
    """As Python prints what nobody catches."""
    try:
        raise error
    except Exception:
        return logging.Formatter().formatException(sys.exc_info()) + "\n"


def test_of_a_traceback_only_what_was_raised_is_shown_with_every_line_of_it(log: Path) -> None:
    log.write_text(READY + traceback_of(ValueError("the profile has no 'name'\nthe profile has no 'version'")))
    assert last_error(log) == "ValueError: the profile has no 'name'\nthe profile has no 'version'"


def test_the_indented_lines_of_a_settings_error_belong_to_it(log: Path) -> None:
    class Settings(BaseModel):
        packs_at_once: int

    with pytest.raises(ValueError) as raised:
        Settings.model_validate({"packs_at_once": "many"})
    log.write_text(traceback_of(raised.value))
    first, second, third = last_error(log).splitlines()[:3]
    assert first.endswith("ValidationError: 1 validation error for Settings")
    assert (second, third.strip().partition(",")[0]) == ("packs_at_once", "Input should be a valid integer")


def test_of_an_error_with_a_cause_the_last_one_is_shown(log: Path) -> None:
    error = RuntimeError("the second")
    error.__cause__ = ValueError("the first")
    log.write_text(traceback_of(error))
    assert last_error(log) == "RuntimeError: the second"


@pytest.fixture
def logging_there(log: Path) -> Iterator[None]:
    """What this process logs goes to the log; logging is put back afterwards."""
    handlers, level = logging.root.handlers[:], logging.root.level
    with log.open("w") as out:
        configure_logs("deid", "INFO", out)
        yield
    logging.root.handlers[:], logging.root.level = handlers, level
    logging.captureWarnings(False)
    structlog.reset_defaults()


@pytest.mark.usefixtures("logging_there")
def test_what_a_service_logs_of_its_end_is_shown_with_what_it_tells_of_the_error(log: Path) -> None:
    try:
        raise Unprocessable("no-such-key")
    except Unprocessable:
        logger("causeway.service").error("service-failed", exc_info=True)
    logger("causeway.service").info("stopped")
    told = last_error(log)
    assert told.startswith("service-failed: Unprocessable no-such-key at ")
    assert "test_last_words.py" in told


def test_what_was_written_before_counts_for_nothing(log: Path) -> None:
    log.write_text(traceback_of(ValueError("of yesterday")))
    since = size_of(log)
    assert last_error(log, since) == ""
    with log.open("a") as file:
        file.write(READY + "nats-server: error parsing the configuration\n")
    assert last_error(log, since) == "nats-server: error parsing the configuration"


def test_a_long_log_is_read_from_its_end_and_a_long_error_is_cut(log: Path) -> None:
    lines = "\n".join(f"line {n}" for n in range(1000))
    log.write_text(READY * 100_000 + traceback_of(ValueError(lines)))
    assert last_error(log).splitlines() == ["ValueError: line 0", *(f"line {n}" for n in range(1, 12))]


def test_a_log_that_there_is_not_says_nothing(log: Path) -> None:
    assert (last_error(log), size_of(log)) == ("", 0)


def test_a_line_that_only_looks_like_a_log_is_none(log: Path) -> None:
    log.write_text("{not json\n" + json.dumps(["event"]) + "\n")
    assert last_error(log) == '["event"]'
