"""Subscribers: what they ask for, what they heard, and one that runs as a process and can be killed."""

import json
import socket
import sys
from pathlib import Path
from typing import Any

from services.hl7_fhir.domain.subscriptions import PROFILES
from services.hl7_fhir.domain.subscriptions.topics import NAMES
from tests.support.ports import free_ports
from tests.support.processes import ServerProcess


def asked(topic: str = "patient-changed", *filters: str, endpoint: str | None = None, **more: Any) -> dict[str, Any]:
    """A Subscription as a client posts it: to ``endpoint``, or for a websocket.

    ``content``, ``heartbeat``, ``timeout``, ``max_count`` and ``header`` of its channel; any other is an element.
    """
    numbers = {
        "backport-heartbeat-period": ("valueUnsignedInt", more.pop("heartbeat", None)),
        "backport-timeout": ("valueUnsignedInt", more.pop("timeout", 2)),
        "backport-max-count": ("valuePositiveInt", more.pop("max_count", None)),
    }
    content = more.pop("content", "id-only")
    channel: dict[str, Any] = {
        "extension": [
            {"url": f"{PROFILES}/{name}", key: value} for name, (key, value) in numbers.items() if value is not None
        ],
        "type": "rest-hook" if endpoint else "websocket",
        "payload": "application/fhir+json",
        "_payload": {"extension": [{"url": f"{PROFILES}/backport-payload-content", "valueCode": content}]},
    }
    if endpoint:
        channel["endpoint"] = endpoint
    if "header" in more:
        channel["header"] = more.pop("header")
    criteria = [{"url": f"{PROFILES}/backport-filter-criteria", "valueString": each} for each in filters]
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "A test",
        "criteria": NAMES + topic,
        **({"_criteria": {"extension": criteria}} if criteria else {}),
        "channel": channel,
        **more,
    }


def status_of(bundle: dict[str, Any]) -> dict[str, Any]:
    """The values of the first entry's Parameters by name; without those of the events."""
    parameters = bundle["entry"][0]["resource"]["parameter"]
    return {each["name"]: _value(each) for each in parameters if each["name"] != "notification-event"}


def events_of(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a notification: the values of their parts by name, the number as an integer."""
    found = []
    for each in bundle["entry"][0]["resource"]["parameter"]:
        if each["name"] == "notification-event":
            parts = {part["name"]: _value(part) for part in each["part"]}
            found.append({**parts, "event-number": int(parts["event-number"])})
    return found


def _value(parameter: dict[str, Any]) -> Any:
    value = next(parameter[key] for key in parameter if key.startswith("value"))
    return value["reference"] if isinstance(value, dict) and "reference" in value else value


class SubscriberProcess:
    """A web hook as a process of its own: what it has answered with 200 is in its file, whatever kills it."""

    def __init__(self, folder: Path) -> None:
        self.port = free_ports(1)[0]
        self.endpoint = f"http://127.0.0.1:{self.port}/hooks/causeway"
        self._file = folder / "heard.jsonl"
        self._file.touch()
        self.server = ServerProcess(
            [sys.executable, str(Path(__file__).with_name("subscriber.py")), str(self.port), str(self._file)],
            log=folder / "subscriber.log",
            ready=self._listens,
        )

    def heard(self) -> list[dict[str, Any]]:
        """Every notification, in the order of arrival; ``headers`` and ``bundle`` of each."""
        lines = self._file.read_bytes().split(b"\n")
        return [json.loads(line) for line in lines[:-1]]  # the last is empty, or was being written when it was killed

    def events(self) -> list[dict[str, Any]]:
        """Every event that it heard, duplicates included."""
        return [event for each in self.heard() for event in events_of(each["bundle"])]

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
