"""``targets.yaml`` of an embedded site: written once, and then the operator's, but for where the stand-ins are."""

import json
import re

import yaml

from cli.embedded.ports import CLOUDS, Ports
from cli.embedded.servers import credentials
from cli.site import Site, write_atomically

#: What a stand-in's settings look like. Ports follow ``--port-base`` and paths the site's folder, wherever it is now.
_OURS = {
    "url": re.compile(r"file://.*/stores/onsite"),
    "endpoint": re.compile(r"http://127\.0\.0\.1:\d+"),
    "credentials_file": re.compile(rf".*/secrets/({'|'.join(CLOUDS)})\.json"),
}

Settings = dict[str, object]


def write_targets(site: Site, ports: Ports) -> None:
    """Make ``targets.yaml``, or in the one that is there let addresses and paths of our stand-ins be those of now."""
    made = targets(site, ports)
    before = site.targets.read_text() if site.targets.exists() else None
    text = yaml.safe_dump({"targets": made}, sort_keys=False) if before is None else followed(before, made)
    if text != before:
        write_atomically(site.targets, text, mode=0o600)


def targets(site: Site, ports: Ports) -> dict[str, Settings]:
    """A folder on site and two S3 clouds on loopback."""
    onsite: Settings = {
        "kind": "filesystem",
        "url": f"file://{(site.stores / 'onsite').resolve()}",
        "jurisdiction": "site",
        "tiers": {"hot": "STANDARD"},
        "forms": ["identified"],
    }
    for name in CLOUDS:
        credentials(site, name)
    return {"onsite": onsite, **{name: _cloud(site, name, ports.clouds[name][0]) for name in CLOUDS}}


def _cloud(site: Site, name: str, port: int) -> Settings:
    return {
        "kind": "s3",
        "endpoint": f"http://127.0.0.1:{port}",
        "bucket": f"causeway-{name}",
        "region": "us-east-1",
        "jurisdiction": "example",
        "tiers": {"hot": "STANDARD"},
        "forms": ["identified", "deidentified"],
        "credentials_file": str((site.secrets / f"{name}.json").resolve()),
    }


def followed(text: str, made: dict[str, Settings]) -> str:
    """``text`` with those settings of stand-ins that are still ours as in ``made``; every other byte is kept.

    A file that is no YAML is left to those who read it, and say so.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return text
    named = _mapping(_mapping(root).get("targets", root))
    found = [change for name in made if name in named for change in _changes(_mapping(named[name]), made[name])]
    for start, end, value in sorted(found, reverse=True):
        text = f"{text[:start]}{value}{text[end:]}"
    return text


def _mapping(node: yaml.Node | None) -> dict[str, yaml.Node]:
    return {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}


def _changes(settings: dict[str, yaml.Node], made: Settings) -> list[tuple[int, int, str]]:
    """What to write where. Who changed one of a stand-in's settings made another target of it: nothing then."""
    held = {name: settings.get(name) for name in _OURS if name in made}
    if not all(isinstance(node, yaml.ScalarNode) and _OURS[name].fullmatch(node.value) for name, node in held.items()):
        return []
    return [
        (node.start_mark.index, node.end_mark.index, json.dumps(made[name]))
        for name, node in held.items()
        if node is not None and node.value != made[name]
    ]
