"""Command lines and configuration of the real servers that stand in for a hospital's: NATS and two clouds."""

import json
import secrets
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from cli.embedded.ports import Ports
from cli.site import Site, write_atomically


@dataclass(frozen=True)
class Process:
    """A process that the supervisor keeps: ``restarts`` is False for what stands in for the outside world.

    ``grace`` is how long it may take to end, seconds; then it is killed.
    """

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    restarts: bool = True
    grace: float = 20.0


def _binary(name: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise FileNotFoundError(f"`{name}` is not installed: install the `embedded` requirements")
    return found


def nats(site: Site, ports: Ports) -> Process:
    """A NATS server that syncs each message before it acknowledges it (the default loses two minutes)."""
    store = site.data / "nats"
    store.mkdir(parents=True, exist_ok=True)
    config = site.config / "nats.conf"
    write_atomically(
        config,
        f"""server_name: causeway
listen: "127.0.0.1:{ports.nats}"
http: "127.0.0.1:{ports.nats_monitor}"
max_payload: 4MB
jetstream {{
  store_dir: {json.dumps(str(store.resolve()))}
  sync_interval: always
  max_mem: 64MB
}}
""",
    )
    return Process("nats", (_binary("nats-server"), "-c", str(config)))


@dataclass(frozen=True)
class Credentials:
    """An access key pair of a stand-in cloud."""

    access_key: str
    secret_key: str


def credentials(site: Site, cloud: str) -> Credentials:
    """The cloud's keys, made on the first start and kept with mode 0600."""
    path = site.secrets / f"{cloud}.json"
    if not path.exists():
        made = {"access_key": secrets.token_hex(10), "secret_key": secrets.token_hex(20)}
        write_atomically(path, json.dumps(made), mode=0o600)
    return Credentials(**json.loads(path.read_text()))


def _identities(keys: Credentials) -> str:
    identity = {
        "name": "causeway",
        "credentials": [{"accessKey": keys.access_key, "secretKey": keys.secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    return json.dumps({"identities": [identity]})


def cloud(site: Site, ports: Ports, name: str) -> Process:
    """A SeaweedFS server: master, volume, filer and S3 on ports of their own, all on loopback."""
    folder = site.data / "clouds" / name
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "s3.json"
    write_atomically(config, _identities(credentials(site, name)), mode=0o600)
    s3, s3_grpc, filer, filer_grpc, volume, volume_grpc, master, master_grpc = ports.clouds[name]
    options = {
        "dir": folder.resolve(),
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "master.port": master,
        "master.port.grpc": master_grpc,
        "master.volumeSizeLimitMB": 1024,
        "master.electionTimeout": "1s",  # of one master: the default keeps the first put waiting for five seconds
        "master.telemetry": "false",
        "volume.port": volume,
        "volume.port.grpc": volume_grpc,
        "volume.max": 0,
        "volume.minFreeSpace": 1,
        "filer.port": filer,
        "filer.port.grpc": filer_grpc,
        "s3.port": s3,
        "s3.port.grpc": s3_grpc,
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.config": config.resolve(),
        "s3.autoCreateBucket": "false",
        "s3.allowDeleteBucketNotEmpty": "false",
        "iam": "false",
    }
    flags = tuple(f"-{key}={value}" for key, value in options.items())
    # -logtostderr keeps weed from littering the system's temporary folder.
    command = (_binary("weed"), "-logtostderr=true", "server", "-filer", "-s3", *flags)
    # Its parts wait 25 seconds for one another; what it has acknowledged survives being killed.
    return Process(name, command, restarts=False, grace=2.0)
