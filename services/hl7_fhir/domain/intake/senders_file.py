"""Reads the registry of senders, senders.yaml; every problem names its line."""

import codecs
from dataclasses import replace
from datetime import UTC
from ipaddress import ip_network
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from yaml.nodes import Node, SequenceNode

from services.hl7_fhir.domain.intake.senders import Network, Sender, Senders
from shared.yaml_lines import DocumentRefused, LineReader, compose

_WHO = ("name", "applications", "facilities", "addresses", "certificates")
_SAYS = ("patient_issuer", "order_issuer", "accession_fields", "charset", "time_zone")
_KEYS = (*_WHO, *_SAYS, "unsupported", "trouble", "strict")


def read_senders(text: str, source: str, others: Sender) -> Senders:
    """The registry in ``text``; ``others`` holds what the settings say, for whatever an entry leaves out.

    DocumentRefused with every problem and its line.
    """
    reader = LineReader()
    root = reader.mapping(compose(text, source), "the registry", ("senders", "unknown"), ("senders",))
    entries = _listed(reader, root.get("senders"))
    found = [_sender(reader, entry, others) for entry in entries]
    names = [sender.name for sender in found]
    for entry, name in zip(entries, names, strict=True):
        if names.count(name) > 1:
            reader.refuse(entry, f"the sender '{name}' stands twice")
    unknown = _choice(reader, root.get("unknown"), "'unknown'", ("accept", "reject"), "accept")
    if reader.problems:
        raise DocumentRefused(source, reader.problems)
    return Senders(others if unknown == "accept" else None, tuple(found))


def _listed(reader: LineReader, node: Node | None) -> list[Node]:
    """The entries; ``[]`` says that nobody is registered."""
    if node is None or (isinstance(node, SequenceNode) and not node.value):
        return []
    return reader.sequence(node, "'senders'")


def _sender(reader: LineReader, node: Node, others: Sender) -> Sender:
    found = reader.mapping(node, "a sender", _KEYS, ("name",))
    if not any(key in found for key in ("applications", "facilities", "addresses", "certificates")):
        reader.refuse(node, "a sender needs 'applications', 'facilities', 'addresses' or 'certificates'")
    return replace(
        others,
        name=reader.name(found["name"], "'name'") if "name" in found else "",
        site=_site(reader, found, others),
        charset=_charset(reader, found["charset"]) if "charset" in found else others.charset,
        applications=_texts(reader, found, "applications"),
        facilities=_texts(reader, found, "facilities"),
        addresses=_addresses(reader, found.get("addresses")),
        certificates=frozenset(text.lower().replace(":", "") for text in _texts(reader, found, "certificates")),
        unsupported=_choice(reader, found.get("unsupported"), "'unsupported'", ("accept", "reject"), "accept"),
        trouble=_choice(reader, found.get("trouble"), "'trouble'", ("reject", "hold"), "reject"),
        strict=_choice(reader, found.get("strict"), "'strict'", ("true", "false"), "false") == "true",
    )


def _site(reader: LineReader, found: dict[str, Node], others: Sender) -> Any:
    said: dict[str, Any] = {
        key: reader.text(found[key], f"'{key}'") for key in ("patient_issuer", "order_issuer") if key in found
    }
    if "accession_fields" in found:
        said["accession_fields"] = reader.texts(found["accession_fields"], "'accession_fields'")
    if "time_zone" in found:
        said["zone"] = _zone(reader, found["time_zone"])
    return replace(others.site, **said)


def _zone(reader: LineReader, node: Node) -> Any:
    name = reader.text(node, "'time_zone'")
    try:
        return UTC if name.upper() == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        reader.refuse(node, "'time_zone' must be an IANA name such as Europe/Berlin")
        return UTC


def _charset(reader: LineReader, node: Node) -> str:
    try:
        return codecs.lookup(reader.text(node, "'charset'")).name
    except LookupError:
        reader.refuse(node, "'charset' must be a character set of Python such as iso8859-1")
        return "utf-8"


def _texts(reader: LineReader, found: dict[str, Node], key: str) -> frozenset[str]:
    return frozenset(reader.texts(found[key], f"'{key}'")) if key in found else frozenset()


def _addresses(reader: LineReader, node: Node | None) -> tuple[Network, ...]:
    networks: list[Network] = []
    for text in reader.texts(node, "'addresses'") if node is not None else ():
        try:
            networks.append(ip_network(text))
        except ValueError:
            reader.refuse(node or 1, "'addresses' must be addresses or networks such as 10.1.0.0/16")
    return tuple(networks)


def _choice(reader: LineReader, node: Node | None, what: str, choices: tuple[str, ...], default: str) -> Any:
    if node is None:
        return default
    text = reader.text(node, what)
    if text not in choices:
        reader.refuse(node, f"{what} must be one of: {', '.join(choices)}")
        return default
    return text
