"""docker-compose.yml without Docker: each container as a process with its own environment, files and rights.

Names of hosts become ports of loopback, mounts become folders; everything else is as the file says: commands, settings,
configuration of the servers, TLS, tokens, rights on the bus, roles in the database.
"""

import os
import re
import shutil
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import psycopg
import yaml

from cli.embedded.ports import SERVICES
from cli.embedded.router import service_of
from cli.setup.vault import container
from tests.support.ports import free_ports
from tests.support.postgres import Postgres
from tests.support.processes import ServerProcess
from tests.support.seaweed import weed

ROOT = Path(__file__).resolve().parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
CONFIGS: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["configs"]
CLOUDS = ("cloud-a", "cloud-b")
WEED_PORTS = (
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
)


class Containers:
    """The site; ``settings`` are variables that the caller of docker compose would set.

    ``given`` is what an operator gives to `setup` by its commands before anything starts.
    """

    def __init__(
        self,
        folder: Path,
        postgres: Postgres,
        settings: dict[str, str],
        given: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.folder = folder
        self._postgres = postgres
        self._settings, self._given = settings, given
        names = (
            "nats",
            "monitor",
            "dicom",
            "dicom-tls",
            "mllp",
            "router",
            *CLOUDS,
            *(container(name) for name in SERVICES),
        )
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.has_router = False
        self._running: list[ServerProcess] = []

    @property
    def database_port(self) -> int:
        """Where PostgreSQL listens."""
        return self._postgres.port

    @property
    def secrets(self) -> Path:
        """The volume of that name."""
        return self.folder / "volumes" / "secrets"

    def start(self) -> None:
        """What `docker compose up` does, in the same order."""
        (self.folder / "volumes").mkdir()
        self.run("setup", "--database", f"127.0.0.1:{self._postgres.port}")
        for command, text in self._given.items():
            self._setup(command, text)
        self._make_databases()
        self._start_bus()
        for cloud in CLOUDS:
            self._start_cloud(cloud)
        self.run("provision")
        for service in SERVICES:
            self.start_service(service)

    def run(self, name: str, *more: str) -> None:
        """Run a job to its end."""
        command = [self._placed(name, word) for word in COMPOSE[name]["command"]]
        done = subprocess.run(
            [sys.executable, "-m", *command, *more],
            env=self._environment(name),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def _setup(self, command: str, text: str) -> None:
        """What `docker compose run --rm -T setup cli.setup COMMAND --into … < text` does."""
        words = (sys.executable, "-m", "cli.setup", command, "--into", str(self.secrets))
        subprocess.run(words, env=self._environment("setup"), cwd=ROOT, input=text, text=True, check=True)

    def start_service(self, service: str) -> None:
        """Start one service and wait until it is healthy, as its image's health check sees it, and ready."""
        name = container(service)
        self._start(
            name,
            [sys.executable, "-m", "shared.service", f"services.{service}.app:build"],
            lambda: self.ask(name, "/readyz").status_code == 200,
            self._environment(name),
        )

    def ask(self, name: str, path: str, *, token: str | None = None) -> httpx.Response:
        """Ask a service by HTTPS, with its certificate checked; an answer of 599 when there is none."""
        context = ssl.create_default_context(cafile=self.secrets / "operator" / "ca.crt")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            with httpx.Client(verify=context, trust_env=False) as client:
                url = f"https://127.0.0.1:{self.ports[name]}{path}"
                return client.get(url, headers=headers, extensions={"sni_hostname": name})
        except httpx.TransportError as error:
            return httpx.Response(599, text=str(error))

    def ask_as_operator(self, path: str) -> httpx.Response:
        """Ask through the router, or, where there is no HAProxy, the service behind ``path`` itself."""
        behind = "router" if self.has_router else container(service_of(path) or "")
        return self.ask(behind, path, token=self.token())

    def token(self) -> str:
        """The operator's."""
        return (self.secrets / "operator" / "token").read_text()

    def start_router(self) -> None:
        """HAProxy with the router's configuration, where there is one."""
        haproxy = shutil.which("haproxy")
        if not haproxy:
            return
        self.has_router = True
        text = self._placed("router", (ROOT / "k8s" / "base" / "router" / "haproxy.cfg").read_text())
        text = re.sub(r'"([a-z0-9-]+)\$\{DOMAIN\}:8443"', lambda found: f"127.0.0.1:{self.ports[found[1]]}", text)
        text = text.replace("bind :8443", f"bind 127.0.0.1:{self.ports['router']}")
        text = text.partition("frontend health")[0]
        (self.folder / "haproxy.cfg").write_text(text)
        command = [haproxy, "-W", "-db", "-f", str(self.folder / "haproxy.cfg")]
        self._start("router", command, lambda: self.ask("router", "/livez").status_code == 200, {})

    def end(self) -> None:
        """End everything, the last first."""
        for process in reversed(self._running):
            process.kill()

    def _start(self, name: str, command: list[str], ready: Callable[[], bool], environment: dict[str, str]) -> None:
        log = self.folder / f"{name}.log"
        process = ServerProcess(command, log=log, ready=ready, environment=environment, folder=ROOT)
        self._running.append(process)
        process.start(timeout=90)

    def _make_databases(self) -> None:
        """What the server's image does with the scripts in its folder."""
        sql = (self.secrets / "postgres" / "databases.sql").read_text()
        with psycopg.connect(f"postgresql://tests@127.0.0.1:{self._postgres.port}/postgres", autocommit=True) as server:
            for statement in (line for line in sql.splitlines() if line and not line.startswith("--")):
                server.execute(statement.encode())

    def _start_bus(self) -> None:
        place = self.folder / "nats"
        place.mkdir()
        (place / "secret").symlink_to(self.secrets / "nats")
        (place / "data").mkdir()
        text = (ROOT / CONFIGS["nats"]["file"]).read_text()
        text = text.replace("0.0.0.0:4222", f"127.0.0.1:{self.ports['nats']}").replace("/data", str(place / "data"))
        (place / "nats.conf").write_text(text.replace("127.0.0.1:8222", f"127.0.0.1:{self.ports['monitor']}"))
        command = [str(Path(sys.executable).with_name("nats-server")), "--config", str(place / "nats.conf")]
        check = COMPOSE["nats"]["healthcheck"]["test"][-1].replace("8222", str(self.ports["monitor"]))
        self._start("nats", command, lambda: _answers(check), {})

    def _start_cloud(self, name: str) -> None:
        place = self.folder / name
        (place / "data").mkdir(parents=True)
        self.ports[name], *inner = free_ports(8)
        ports = dict(zip(WEED_PORTS, inner, strict=True))
        here = {
            "8333": str(self.ports[name]),
            "9333": f"{ports['master.port']}.{ports['master.port.grpc']}",
            "/data": str(place / "data"),
            "/etc/seaweedfs": str(self.secrets / name),
            "0.0.0.0": "127.0.0.1",
            "weed shell": f"{weed()} shell",
        }

        def placed(text: str) -> str:
            return re.sub("|".join(map(re.escape, here)), lambda found: here[found[0]], text)

        # Where the server looks for it besides /etc/seaweedfs.
        (place / "filer.toml").write_text(placed((self.secrets / name / "filer.toml").read_text()))
        words = (*COMPOSE[name]["entrypoint"][1:], *COMPOSE[name]["command"])
        command = [weed(), *map(placed, words), *(f"-{key}={value}" for key, value in ports.items())]
        check = placed(COMPOSE[name]["healthcheck"]["test"][-1])
        process = ServerProcess(command, log=place / "log", ready=lambda: _answers(check), folder=place)
        self._running.append(process)
        process.start(timeout=90)
        rules = ["sh", "-c", placed(COMPOSE[f"{name}-rules"]["command"][0])]
        told = subprocess.run(rules, cwd=place, capture_output=True, text=True, timeout=60, check=False)
        assert told.returncode == 0, told.stderr
        self.rules = told.stdout

    def _environment(self, name: str) -> dict[str, str]:
        given = {key: self._placed(name, str(value)) for key, value in COMPOSE[name].get("environment", {}).items()}
        ours = {key: value for key, value in os.environ.items() if not key.startswith("CAUSEWAY_")}
        return ours | given | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}

    def _placed(self, name: str, text: str) -> str:
        """``text`` of container ``name`` with its variables, mounts, hosts and ports as they are here."""
        text = self._with_variables(text)
        for target, place in sorted(self._mounts(name).items(), key=lambda row: -len(row[0])):
            text = re.sub(rf"{re.escape(target)}(?=[/\s]|$)", str(place), text)
        text = text.replace("0.0.0.0", "127.0.0.1").replace("nats:4222", f"127.0.0.1:{self.ports['nats']}")
        own = {"8443": name, "11112": "dicom", "2762": "dicom-tls", "2575": "mllp"}
        return str(self.ports[own[text]]) if text in own and own[text] in self.ports else text

    def _with_variables(self, text: str) -> str:
        """``${NAME:-default}``, and ``${NAME:+instead}``: nothing unless it is set (Compose file reference)."""
        text = re.sub(r"\$\{(\w+):\+([^}]*)\}", lambda found: found[2] if self._settings.get(found[1]) else "", text)
        return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: self._settings.get(found[1], found[2]), text)

    def _mounts(self, name: str) -> dict[str, Path]:
        found = {}
        for volume in COMPOSE[name].get("volumes", ()):
            if isinstance(volume, str):
                source, target = volume.split(":")[:2]
                found[target] = self.folder / "volumes" / source
            else:
                found[volume["target"]] = self.folder / "volumes" / volume["source"] / volume["volume"]["subpath"]
        for place in found.values():
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
        for config in COMPOSE[name].get("configs", ()):
            found[config["target"]] = self._config(name, config["source"], found)
        return found

    def _config(self, name: str, source: str, mounts: dict[str, Path]) -> Path:
        """A file of the repository, with the container's places in it."""
        text = (ROOT / self._with_variables(CONFIGS[source]["file"])).read_text()
        for target, place in sorted(mounts.items(), key=lambda row: -len(row[0])):
            text = text.replace(f"{target}/", f"{place}/")
        for cloud in CLOUDS:
            text = text.replace(f"{cloud}:8333", f"127.0.0.1:{self.ports[cloud]}")
        path = self.folder / f"{name}-{source}.yaml"
        path.write_text(text)
        return path


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
