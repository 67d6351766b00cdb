"""Who may say and hear what on the bus, for the server's configuration."""

from collections.abc import Mapping, Sequence

import yaml

from cli.embedded.plan import site_plan
from cli.setup.permissions import authorization, permissions
from contracts.streams import FOLDER

_DOCUMENTS = FOLDER.parent / "asyncapi"


def bus_rights(passwords: Mapping[str, str], targets: Sequence[str], destinations: Sequence[str] = ()) -> str:
    """The server's ``authorization`` block: each service its own subjects and consumers, ``operator`` everything."""
    granted = permissions(site_plan(), {"target": targets, "destination": destinations}, published())
    return authorization(granted, passwords, passwords["operator"])


def published() -> dict[str, list[str]]:
    """The subjects that each service publishes, by its AsyncAPI document."""
    return {path.stem: _sent(yaml.safe_load(path.read_text())) for path in sorted(_DOCUMENTS.glob("*.yaml"))}


def _sent(document: Mapping[str, Mapping[str, Mapping[str, object]]]) -> list[str]:
    channels = [
        str(operation["channel"]["$ref"]).rpartition("/")[2]  # type: ignore[index]
        for operation in document["operations"].values()
        if operation["action"] == "send"
    ]
    return [str(document["channels"][channel]["address"]) for channel in channels]
