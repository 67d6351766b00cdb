"""What a service reads from its environment."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """A service's own settings."""

    max_open_batches: int = 8


def test_defaults_stay_on_this_machine():
    """Without any environment a service talks to loopback, and listens there."""
    settings = Settings()
    assert settings.nats_url == "nats://127.0.0.1:4222"
    assert (settings.http_host, settings.http_port) == ("127.0.0.1", 0)


def test_reads_the_environment(monkeypatch):
    """Common and own fields come from variables with the prefix."""
    monkeypatch.setenv("CAUSEWAY_NATS_URL", "nats://bus:4222")
    monkeypatch.setenv("CAUSEWAY_TRACE_FILE", "/traces/x.jsonl")
    monkeypatch.setenv("CAUSEWAY_MAX_OPEN_BATCHES", "3")
    settings = Settings()
    assert (settings.nats_url, settings.trace_file, settings.max_open_batches) == (
        "nats://bus:4222",
        Path("/traces/x.jsonl"),
        3,
    )


def test_an_empty_variable_is_none(monkeypatch):
    """`CAUSEWAY_TRACE_FILE=` in a compose file means not set."""
    monkeypatch.setenv("CAUSEWAY_TRACE_FILE", "")
    assert Settings().trace_file is None


def test_are_frozen():
    """Nobody changes settings after they were read."""
    with pytest.raises(ValidationError):
        Settings().http_port = 1


def test_show_no_secret(monkeypatch):
    """Neither their text nor a validation error holds a password."""
    monkeypatch.setenv("CAUSEWAY_NATS_PASSWORD", "hunter2")
    assert "hunter2" not in repr(Settings())
    monkeypatch.setenv("CAUSEWAY_HTTP_PORT", "hunter2")
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert "hunter2" not in str(caught.value)
