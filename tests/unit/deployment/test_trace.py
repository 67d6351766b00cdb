"""``causeway trace`` where services write spans to files, send them elsewhere, or do neither."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cli.main import app

BATCH = "b-1"


def trace(data: Path) -> Result:
    """The command's end and what it said."""
    return CliRunner().invoke(app, ["trace", "--batch", BATCH, "--data", str(data), "--json"])


def write(path: Path, *spans: dict[str, object]) -> None:
    """A file of spans, as a service writes it."""
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(span) + "\n" for span in spans))


def span(trace_id: str, start: int, **attributes: object) -> dict[str, object]:
    """One span."""
    return {"trace_id": trace_id, "span_id": f"{start}", "parent_id": None, "start": start, "attributes": attributes}


def test_a_trace_is_put_together_from_the_files_of_all_services(tmp_path: Path) -> None:
    write(tmp_path / "traces" / "a.jsonl", span("t1", 2), span("t2", 1, batch_id=BATCH))
    write(tmp_path / "traces" / "b.jsonl", span("t2", 0), span("t3", 3, batch_id="another"))
    (found,) = json.loads(trace(tmp_path).stdout)
    assert (found["trace_id"], [one["start"] for one in found["spans"]]) == ("t2", [0, 1])


def test_without_files_it_says_where_spans_are_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSEWAY_OTLP_ENDPOINT", "http://collector.observability:4318/v1/traces")
    told = trace(tmp_path)
    assert told.exit_code == 1
    assert "http://collector.observability:4318/v1/traces" in told.output
    assert f"batch_id={BATCH}" in told.output


def test_it_says_so_when_spans_go_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAUSEWAY_OTLP_ENDPOINT", raising=False)
    told = trace(tmp_path)
    assert told.exit_code == 1
    assert "CAUSEWAY_OTLP_ENDPOINT" in told.output


def test_files_without_the_batch_are_told_from_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSEWAY_OTLP_ENDPOINT", "http://collector:4318/v1/traces")
    write(tmp_path / "traces" / "a.jsonl", span("t1", 2))
    told = trace(tmp_path)
    assert told.exit_code == 1
    assert "yet" in told.output
    assert "collector" not in told.output
