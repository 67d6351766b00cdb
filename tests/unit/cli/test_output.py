"""What is printed is what was said."""

import pytest

from cli.output import fail, say, table, warn


def test_brackets_in_a_path_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    say("sent [ct]/[/old]")
    warn("skipped [ct]/[/old]")
    table("of [/site]", ("path",), [("[ct]/[/old]",)])
    with pytest.raises(SystemExit):
        fail("no [ct]/[/old]")
    told = capsys.readouterr()
    assert told.out.count("[ct]/[/old]") == 2 and "of [/site]" in told.out
    assert told.err.count("[ct]/[/old]") == 2
