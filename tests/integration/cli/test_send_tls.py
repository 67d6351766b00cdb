"""``causeway send --tls`` to the TLS port of either receiver (PS3.15 sections B.12 and B.13)."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from tests.integration.dicom_ingest.site import RECEIVERS, IngestSite
from tests.support.certificates import Authority, Issued
from tests.support.instances import as_file, make_instances
from tests.support.nats import NatsServer
from tests.support.ports import free_ports

COUNT = 3


class Port:
    """The TLS port of dicom_ingest, and images to send there."""

    def __init__(self, site: IngestSite) -> None:
        self.site, (self.port,) = site, free_ports(1)
        self.authority = Authority(site.folder)
        self.ours = self.authority.issue("ct1.hospital.example")
        self.images = site.folder / "images"
        self.images.mkdir()
        # Larger than one record of TLS, and than what is written at a time.
        for number, image in enumerate(make_instances(COUNT, rows=1024)):
            (self.images / f"{number}.dcm").write_bytes(as_file(image))

    def start(self, server: Issued, **settings: Any) -> None:
        """Start the service with this certificate."""
        files = {"cert": server.certificate, "key": server.key, "client_ca": self.authority.path}
        tls = {f"dicom_tls_{name}": path for name, path in files.items()}
        self.site.start(dicom_tls_port=self.port, **tls, **settings)

    def send(self, *words: str | Path, host: str = "localhost", port: int | None = None) -> Result:
        """``causeway send`` to the port."""
        told = ("send", self.images, "--to", f"{host}:{port or self.port}", "--json", *words)
        return CliRunner().invoke(app, [str(word) for word in told])

    def proven(self) -> tuple[str | Path, ...]:
        """The options of a sender that the authority knows."""
        return ("--tls", "--ca", self.authority.path, "--cert", self.ours.certificate, "--key", self.ours.key)

    def why(self, *words: str | Path, host: str = "localhost", port: int | None = None) -> str:
        """Why nothing was sent."""
        told = self.send(*words, host=host, port=port)
        assert told.exit_code == 1
        document = json.loads(told.stdout)
        assert document["sent"] == 0
        (why,) = {each["why"] for each in document["failed"]}
        return str(why)


@pytest.fixture
async def port(nats_server: NatsServer, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Port]:
    """Not started yet."""
    site = IngestSite(tmp_path, nats_server, getattr(request, "param", "fast"))
    await site.provision()
    yield Port(site)
    if site.process is not None:
        site.process.stop()


@pytest.mark.parametrize("port", RECEIVERS, indirect=True)
async def test_images_are_sent_by_a_sender_that_is_known_to_a_receiver_that_is_known(port: Port) -> None:
    port.start(port.authority.issue("localhost"))
    told = port.send(*port.proven(), "--associations", "3")
    assert told.exit_code == 0, told.stdout
    assert json.loads(told.stdout)["sent"] == COUNT
    landed = await port.site.landed(COUNT)
    arrived = {batch.file(each) for batch in landed for each in batch.manifest.instances}
    sent = [path.read_bytes() for path in port.images.iterdir()]
    assert all(any(one.endswith(file[-2_000_000:]) for one in arrived) for file in sent)


async def test_a_receiver_is_asked_for_its_name_and_its_authority(port: Port) -> None:
    port.start(port.authority.issue("another.hospital.example"))
    assert "its certificate is refused: Hostname mismatch" in port.why(*port.proven())
    without_authority = ("--tls", "--cert", port.ours.certificate, "--key", port.ours.key)
    told = port.why(*without_authority)
    assert "its certificate is refused: " in told
    assert "Hostname" not in told


async def test_a_sender_without_a_certificate_is_told_what_is_wanted(port: Port) -> None:
    port.start(port.authority.issue("localhost"))
    assert "certificate required" in port.why("--tls", "--ca", port.authority.path)


async def test_tls_is_not_spoken_to_a_plain_port_nor_the_other_way_round(port: Port) -> None:
    port.start(port.authority.issue("localhost"))
    assert port.why(*port.proven(), port=port.site.port)
    assert port.why()


async def test_where_clients_need_no_certificate_none_is_needed(port: Port) -> None:
    port.start(port.authority.issue("localhost"), dicom_tls_mutual="false")
    assert port.send("--tls", "--ca", port.authority.path).exit_code == 0
