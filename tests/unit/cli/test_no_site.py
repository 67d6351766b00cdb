"""Every command says clearly that there is no site."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app

COMMANDS = [
    ("status",),
    ("wait", "--all"),
    ("where", "1.2.3"),
    ("fetch", "1.2.3", "--from", "onsite"),
    ("trace", "--study", "1.2.3"),
    ("replay", "deid", "--from", "1"),
    ("replan", "--all"),
    ("overdue",),
    ("verify", "--all"),
    ("provision",),
    ("deadletters", "list"),
    ("deadletters", "show", "1"),
    ("deadletters", "retry", "1"),
    ("deadletters", "discard", "--all"),
    ("stop", "deid"),
    ("start", "deid"),
    ("send", __file__),
    ("hl7", "send", __file__),
    ("deid", "merged", "--undo", "t", "--reason", "r"),
    ("deid", "recall", "--profile-version", "1", "--reason", "r"),
    ("deid", "recall", "list"),
    ("reidentify", "--project", "p", "--patient", "P1", "--reason", "r"),
    ("deid", "map", "export", "--project", "p", "--reason", "r", "-o", "map.ndjson"),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_missing_site_is_one_error(words: tuple[str, ...], tmp_path: Path) -> None:
    told = CliRunner().invoke(app, [*words, "--data", str(tmp_path)])
    assert (told.exit_code, told.stdout) == (1, "")
    assert told.stderr.startswith(f"error: no site runs on {tmp_path}")
    assert isinstance(told.exception, SystemExit)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("deid", "merged", "--undo", "t"), "say both --undo PATIENT and --reason TEXT"),
        (("deid", "merged", "--reason", "r"), "say both --undo PATIENT and --reason TEXT"),
        (("deid", "recall", "--profile-version", "1"), "say --profile-version VERSION and --reason TEXT"),
        (("reidentify", "--project", "p", "--reason", "r"), "say one of --uid UID, --patient PSEUDONYM"),
    ],
)
def test_what_is_asked_without_a_reason_or_an_object_is_wrong_usage(words: tuple[str, ...], told: str) -> None:
    answer = CliRunner().invoke(app, words)
    assert (answer.exit_code, told in answer.stderr) == (2, True)


def test_ending_what_does_not_run_is_no_error(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["down", "--data", str(tmp_path)])
    assert (told.exit_code, told.stdout) == (0, "nothing was running\n")
