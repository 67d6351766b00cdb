"""What ``up``, ``stop`` and ``start`` say when the site is not as they are asked to make it."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.embedded.ports import Ports
from cli.lifecycle import stopped_like_ctrl_c
from cli.main import app
from cli.site import Site

BASE = 20000


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site whose supervisor is this test, and does nothing."""
    site = Site(tmp_path)
    site.stopped.mkdir(parents=True)
    describe(site, pid=os.getpid())
    return site


def describe(site: Site, **more: object) -> None:
    """Write what the supervisor would."""
    processes = {"deid": {"pid": 1, "state": "running", "restarts": 0}, "nats": {"state": "stopped"}}
    state = {"ready": True, "endpoints": Ports.from_base(BASE).endpoints(), "services": {}, "processes": processes}
    site.state_file.write_text(json.dumps(state | more))


@pytest.fixture
def causeway(site: Site) -> Callable[..., Result]:
    """``causeway WORDS… --data`` that site."""
    return lambda *words: CliRunner().invoke(app, [*words, "--data", str(site.data)])


@pytest.mark.parametrize(("words", "state"), [(("stop", "deid"), "running"), (("start", "nats"), "stopped")])
def test_a_process_that_does_not_obey_is_no_success(
    causeway: Callable[..., Result], words: tuple[str, ...], state: str
) -> None:
    told = causeway(*words, "--timeout", "0.2", "--json")
    assert told.exit_code == 1
    assert json.loads(told.stdout)[words[1]]["state"] == state
    assert f"{words[1]} is still {state}" in told.stderr
    assert causeway(*words, "--timeout", "0").exit_code == 1


def test_a_process_that_is_as_wanted_is_a_success(causeway: Callable[..., Result]) -> None:
    told = causeway("stop", "nats")
    assert (told.exit_code, told.stdout) == (0, "nats is stopped\n")


def test_an_unknown_process_is_an_error_that_names_the_known_ones(causeway: Callable[..., Result]) -> None:
    told = causeway("stop", "pacs")
    assert (told.exit_code, told.stderr) == (1, "error: no process is named pacs; there are: deid, nats\n")


def test_a_running_site_is_not_moved_to_other_ports(causeway: Callable[..., Result]) -> None:
    told = causeway("up", "--port-base", str(BASE + 40))
    assert told.exit_code == 1
    assert f"runs already at other ports (dicom 127.0.0.1:{BASE}" in told.stderr


def test_a_running_site_is_not_given_more_processes(causeway: Callable[..., Result], site: Site) -> None:
    describe(site, pid=os.getpid(), services={"dicom_ingest": "", "catalog": ""})
    told = causeway("up", "--dicom-processes", "2")
    assert told.exit_code == 1
    assert "runs already with 1 process for DICOM: end it with `causeway down`" in told.stderr


def test_a_site_elsewhere_is_not_started_here(causeway: Callable[..., Result], site: Site) -> None:
    describe(site)
    told = causeway("up")
    assert told.exit_code == 1
    assert "runs elsewhere" in told.stderr


def test_a_folder_that_cannot_be_made_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = CliRunner().invoke(app, ["up", "--data", str(tmp_path / "file" / "site"), "--port-base", "21900"])
    assert (told.exit_code, told.stdout) == (1, "")
    assert "error: nothing can be written to" in told.stderr
    assert isinstance(told.exception, SystemExit)


def test_sigterm_interrupts_as_ctrl_c_does_and_only_in_between() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), stopped_like_ctrl_c():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
