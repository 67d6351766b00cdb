"""``causeway start`` of a process under a real supervisor: ready, or why it is not."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.embedded.ports import Ports
from cli.embedded.servers import Process
from cli.embedded.supervisor import Kept, Supervisor
from cli.main import app
from cli.site import Site
from tests.support.ports import free_ports
from tests.support.services import eventually

#: A service in a few lines: ``%s`` happens, then it answers on its port with a status and checks.
SERVICE = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
print('{"event": "starting", "level": "info"}', flush=True)
%s
class Answering(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps({"checks": checks}).encode())
HTTPServer(("127.0.0.1", int(sys.argv[1])), Answering).serve_forever()
"""
WELL = 'status, checks = 200, {"bus": "ok"}'
AWAY = 'status, checks = 503, {"bus": "bus-away", "database": "ok"}'
PROBLEMS = [f"research.yaml:1: the profile has no '{name}'" for name in ("name", "version")]
WRONG = f"raise ValueError({chr(10).join(PROBLEMS)!r})"
#: Its port is not free yet, or it hangs after that.
ONCE = f"""
if not Path(sys.argv[2]).exists():
    Path(sys.argv[2]).touch()
    {WRONG}
"""
HANGS = "import time; time.sleep(60)"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """The folder of a site where deid is stopped."""
    made = Site(tmp_path / "site")
    for place in (made.run, made.logs, made.stopped):
        place.mkdir(parents=True)
    (made.stopped / "deid").touch()
    return made


@asynccontextmanager
async def supervised(site: Site, happens: str) -> AsyncIterator[Supervisor]:
    """A supervisor that keeps nothing but deid."""
    (port,) = free_ports(1)
    ports = replace(Ports.from_base(20_000), services={"deid": port})
    supervisor = Supervisor(site, ports, ready=True)
    command = (sys.executable, "-c", SERVICE % happens, str(ports.services["deid"]), str(site.data / "once"))
    supervisor.kept["deid"] = Kept(Process("deid", command))
    watching = asyncio.create_task(supervisor._watch())
    await eventually(site.state_file.exists)
    yield supervisor
    supervisor.ending.set()
    await watching
    await supervisor._bring_down()


async def start(site: Site, *words: str) -> Result:
    given = ["start", "deid", "--data", str(site.data), *words]
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, given))


async def test_a_process_that_dies_again_and_again_does_not_stay_up_and_says_why(site: Site) -> None:
    async with supervised(site, WRONG):
        told = await start(site, "--json")
    assert told.exit_code == 1
    assert told.stderr.startswith("error: deid does not stay up, see ")
    assert told.stderr.splitlines()[-2:] == [f"ValueError: {PROBLEMS[0]}", PROBLEMS[1]]
    assert json.loads(told.stdout)["deid"]["restarts"] >= 2


async def test_time_that_is_up_before_the_second_death_makes_it_no_success(site: Site) -> None:
    async with supervised(site, ONCE + HANGS):
        told = await start(site, "--timeout", "5")
    assert told.exit_code == 1
    assert "deid does not stay up" in told.stderr
    assert PROBLEMS[1] in told.stderr


async def test_a_process_that_dies_once_and_then_is_ready_is_a_success(site: Site) -> None:
    async with supervised(site, ONCE + WELL):
        told = await start(site)
        assert (told.exit_code, told.stdout, told.stderr) == (0, "deid is running\n", "")
        again = await start(site, "--timeout", "0")
    assert (again.exit_code, again.stdout) == (0, "deid is running\n")


async def test_a_process_that_runs_and_is_not_ready_is_told_so_with_what_it_waits_for(site: Site) -> None:
    async with supervised(site, AWAY):
        told = await start(site, "--timeout", "2")
    assert told.exit_code == 1
    assert "error: deid runs, but is not ready after 2 s, bus bus-away: see" in told.stderr


async def test_a_start_does_not_wait_for_the_pause_of_what_died_before(site: Site) -> None:
    """After six deaths that is ten seconds; whoever mended it starts it now."""
    async with supervised(site, WELL) as supervisor:
        kept = supervisor.kept["deid"]
        kept.restarts, kept.not_before = 6, asyncio.get_running_loop().time() + 1000
        await eventually(lambda: site.state()["processes"]["deid"]["restarts"] == 6)
        told = await start(site, "--timeout", "5")
    assert (told.exit_code, told.stdout) == (0, "deid is running\n")
