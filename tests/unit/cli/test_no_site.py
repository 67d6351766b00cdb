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
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_missing_site_is_one_error(words: tuple[str, ...], tmp_path: Path) -> None:
    told = CliRunner().invoke(app, [*words, "--data", str(tmp_path)])
    assert (told.exit_code, told.stdout) == (1, "")
    assert told.stderr.startswith(f"error: no site runs on {tmp_path}")
    assert isinstance(told.exception, SystemExit)


def test_ending_what_does_not_run_is_no_error(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["down", "--data", str(tmp_path)])
    assert (told.exit_code, told.stdout) == (0, "nothing was running\n")
