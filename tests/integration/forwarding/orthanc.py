"""Debian's Orthanc as an old PACS: on loopback, without plugins, in a folder of the test."""

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.forwarding.site import listens
from tests.support.ports import free_ports
from tests.support.processes import ServerProcess


class Orthanc:
    """It keeps what it has when it is killed and started again."""

    def __init__(self, folder: Path) -> None:
        binary = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
        if binary is None:
            pytest.skip("no Orthanc: apt-get install orthanc")
        self.port, http = free_ports(2)
        self.url = f"http://127.0.0.1:{http}"
        storage = folder / "orthanc"
        storage.mkdir()
        config = {
            "StorageDirectory": str(storage),
            "IndexDirectory": str(storage),
            "DicomPort": self.port,
            "HttpPort": http,
            "DicomCheckCalledAet": False,
            "UnknownSopClassAccepted": True,
            "Plugins": [],
        }
        (folder / "orthanc.json").write_text(json.dumps(config))
        self.server = ServerProcess(
            [binary, str(folder / "orthanc.json")],
            log=folder / "orthanc.log",
            ready=lambda: listens(self.port) and listens(http),
            environment={"TCP_NODELAY": "1"},
        )

    async def count(self) -> int:
        """How many instances it holds."""
        return int((await self._get("/statistics"))["CountInstances"])

    async def arrivals(self) -> list[str]:
        """Its name of each instance that was new to it, in the order in which they came."""
        told = await self._get("/changes?limit=10000")
        return [one["ID"] for one in told["Changes"] if one["ChangeType"] == "NewInstance"]

    async def files(self) -> dict[str, bytes]:
        """Every file that it holds, by its name for the instance."""
        async with httpx.AsyncClient(base_url=self.url) as client:
            held = (await client.get("/instances")).json()
            return {one: (await client.get(f"/instances/{one}/file")).content for one in held}

    async def _get(self, path: str) -> Any:
        async with httpx.AsyncClient(base_url=self.url) as client:
            return (await client.get(path)).json()
