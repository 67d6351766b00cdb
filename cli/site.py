"""A site on disk: where its files lie, and what runs for it."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULT_DATA = Path(".causeway")


class SiteDown(Exception):
    """The command needs a running site and there is none."""


@dataclass(frozen=True)
class Access:
    """What proves to a site who asks; nothing of it is needed on loopback."""

    token: str | None = None
    #: The certificate authority of the site's HTTPS endpoint.
    authority: Path | None = None
    bus_user: str | None = None
    bus_password: str | None = None


@dataclass(frozen=True)
class Site:
    """The folder of an embedded site and everything in it, or of one elsewhere, of which it has the addresses."""

    data: Path

    @property
    def run(self) -> Path:
        return self.data / "run"

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    @property
    def traces(self) -> Path:
        return self.data / "traces"

    @property
    def config(self) -> Path:
        return self.data / "config"

    @property
    def secrets(self) -> Path:
        return self.data / "secrets"

    @property
    def databases(self) -> Path:
        return self.data / "databases"

    @property
    def stores(self) -> Path:
        return self.data / "stores"

    @property
    def spool(self) -> Path:
        return self.data / "spool"

    @property
    def keks(self) -> Path:
        return self.secrets / "kek"

    @property
    def site_key(self) -> Path:
        return self.secrets / "site.key"

    @property
    def targets(self) -> Path:
        return self.config / "targets.yaml"

    @property
    def destinations(self) -> Path:
        """Who gets what arrives (services/forwarding); need not be there."""
        return self.config / "destinations.yaml"

    @property
    def receivers(self) -> Path:
        """Who gets HL7 messages from here (services/hl7_fhir); need not be there."""
        return self.config / "receivers.yaml"

    @property
    def senders(self) -> Path:
        """Who sends HL7 messages, and how they are read (services/hl7_fhir)."""
        return self.config / "senders.yaml"

    @property
    def streams(self) -> Path:
        """What the site sets of streams (``contracts/streams``); need not be there."""
        return self.config / "streams.yaml"

    @property
    def policy(self) -> Path:
        return self.config / "policy.yaml"

    @property
    def profiles(self) -> Path:
        """A de-identification profile ``<project>.yaml`` for each project that has one of its own."""
        return self.config / "profiles"

    @property
    def state_file(self) -> Path:
        return self.run / "site.json"

    @property
    def stopped(self) -> Path:
        """A file here by a process's name keeps the supervisor from running it."""
        return self.run / "stopped"

    def state(self) -> dict[str, Any]:
        """What the supervisor last wrote; SiteDown when it is not alive. Sites elsewhere have none (``cli.setup``)."""
        try:
            state: dict[str, Any] = json.loads(self.state_file.read_text())
        except (OSError, ValueError):
            raise SiteDown(f"no site runs on {self.data}: start one with `causeway up --data {self.data}`") from None
        if "pid" in state and not is_alive(state["pid"]):
            raise SiteDown(f"the site on {self.data} is not running: start it with `causeway up --data {self.data}`")
        return state

    def is_up(self) -> bool:
        """Whether a supervisor runs for this folder."""
        try:
            self.state()
        except SiteDown:
            return False
        return True

    def endpoints(self) -> dict[str, str]:
        """The endpoints of the running site by name."""
        endpoints: dict[str, str] = self.state()["endpoints"]
        return endpoints

    def access(self) -> Access:
        """What the site wants to see of those who ask; its files lie beside the state."""
        given: dict[str, str] = self.state().get("access", {})
        files = {name: self.run / given[name] for name in ("token", "authority", "bus_password") if name in given}
        try:
            read = {name: path.read_text().strip() for name, path in files.items() if name != "authority"}
        except OSError as error:
            raise SiteDown(f"{error.filename} cannot be read: {error.strerror}") from None
        return Access(authority=files.get("authority"), bus_user=given.get("bus_user"), **read)


def is_alive(pid: int) -> bool:
    """Whether a process ``pid`` exists and is no zombie."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return status.rpartition(")")[2].split()[0] != "Z"


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace ``path`` as a whole, so that a reader never sees half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
