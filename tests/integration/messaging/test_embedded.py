"""The embedded site's server is what the promise needs: asked itself, not its configuration file."""

import json
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

from cli.embedded.ports import Ports
from cli.embedded.servers import nats
from cli.site import Site
from tests.support.ports import free_ports
from tests.support.processes import ServerProcess


def test_it_syncs_each_message_before_it_acknowledges_it(tmp_path: Path) -> None:
    """The default syncs every two minutes, and a power cut takes what was acknowledged since."""
    port, monitor = free_ports(2)
    site, ports = Site(tmp_path), replace(Ports.from_base(None), nats=port, nats_monitor=monitor)
    site.config.mkdir()
    told: dict[str, Any] = {}

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{monitor}/varz", timeout=1) as answer:
                told.update(json.load(answer))
        except OSError:
            return False
        return True

    server = ServerProcess(nats(site, ports).command, log=tmp_path / "nats.log", ready=answers)
    server.start(timeout=60)
    server.kill()
    assert told["jetstream"]["config"].get("sync_always") is True
