"""Reads peers.yaml; refuses one that is wrong, with every problem by its line (examples/peers.yaml)."""

import re
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any, Literal

from services.dicom_ingest.domain.negotiation import is_uid
from services.dicom_ingest.domain.peers import CallBack, CertificateRule, Network, Peer, Rate, Registry
from shared.yaml_lines import DocumentRefused, LineReader, Node, ScalarNode, compose

_FORMAT = "causeway.peers/1"
_KEYS = ("ae_title", "addresses", "certificate", "called", "sop_classes", "rate", "associations", "idle")
_LATER_KEYS = ("quiet", "patient_issuer", "order_issuer", "call_back", "token")
_PROOFS = {"addresses", "certificate", "token"}
#: PS3.5 table 6.2-1, AE: at most 16 characters of the default repertoire, no backslash.
_AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")
_DIGEST = re.compile(r"(sha256:)?([0-9A-F]{2}:?){31}[0-9A-F]{2}", re.IGNORECASE)
#: Short names of subject attributes (RFC 4514 section 3) as OpenSSL spells them out.
_ATTRIBUTES = {
    "CN": "commonName",
    "O": "organizationName",
    "OU": "organizationalUnitName",
    "L": "localityName",
    "ST": "stateOrProvinceName",
    "C": "countryName",
    "DC": "domainComponent",
    "UID": "userId",
    "SERIALNUMBER": "serialNumber",
}


def read_peers(text: str, source: str = "peers.yaml") -> Registry:
    """The registry in ``text``; DocumentRefused lists every problem by line."""
    root = compose(text, source)
    reader = _PeersReader()
    registry = reader.registry(root)
    if reader.problems:
        raise DocumentRefused(source, reader.problems)
    return registry


class _PeersReader(LineReader):
    def registry(self, root: Node) -> Registry:
        keys = self.mapping(root, "the document", ("format", "unknown", "peers"), required=("format", "unknown"))
        if "format" in keys and self.text(keys["format"], "'format'") != _FORMAT:
            self.refuse(keys["format"], f"'format' must be {_FORMAT}")
        unknown: Any = self._choice(keys.get("unknown"), "'unknown'", ("accept", "reject"))
        nodes = self.sequence(keys["peers"], "'peers'") if "peers" in keys else []
        return Registry(tuple(map(self._peer, nodes)), unknown)

    def _peer(self, node: Node) -> Peer:
        keys = self.mapping(node, "a peer", (*_KEYS, *_LATER_KEYS))
        if not {"ae_title", "token"} & {*keys}:
            self.refuse(node, "a peer has no 'ae_title'")
        if not _PROOFS & {*keys}:
            self.refuse(node, "a peer has 'addresses', a 'certificate' or a 'token': an AE title alone proves nothing")
        title = self._title(keys["ae_title"], "'ae_title'") if "ae_title" in keys else ""
        readers: dict[str, Callable[[Node], Any]] = {
            "addresses": self._addresses,
            "certificate": self._certificate,
            "called": lambda node: frozenset(self._titles(node, "'called'")),
            "sop_classes": self._sop_classes,
            "rate": self._rate,
            "associations": lambda node: self.count(node, "'associations'"),
            "idle": lambda node: self.duration(node, "'idle'").total_seconds(),
            "quiet": lambda node: self.duration(node, "'quiet'").total_seconds(),
            "patient_issuer": lambda node: self.text(node, "'patient_issuer'"),
            "order_issuer": lambda node: self.text(node, "'order_issuer'"),
            "call_back": lambda node: self._call_back(node, title),
        }
        told = {key: readers[key](value) for key, value in keys.items() if key in readers}
        return Peer(ae_title=title, holder=self.text(keys["token"], "'token'") if "token" in keys else None, **told)

    def _choice(self, node: Node | None, what: str, choices: tuple[str, ...]) -> str:
        if node is None:
            return choices[-1]
        told = self.text(node, what)
        if told not in choices:
            self.refuse(node, f"{what} must be one of {', '.join(choices)}")
        return told

    def _title(self, node: Node, what: str) -> str:
        title = self.text(node, what)
        if title and not _AE_TITLE.fullmatch(title):
            self.refuse(node, f"{what} must be an AE title of at most 16 characters")
        return title

    def _titles(self, node: Node, what: str) -> list[str]:
        return [self._title(each, what) for each in self._each(node, what)]

    def _each(self, node: Node, what: str) -> list[Node]:
        """One value, or a list of values."""
        return [node] if isinstance(node, ScalarNode) else self.sequence(node, what)

    def _addresses(self, node: Node) -> tuple[Network, ...]:
        found = [(each, self.text(each, "'addresses'")) for each in self._each(node, "'addresses'")]
        return tuple(network for each, text in found if (network := self._network(each, text)) is not None)

    def _network(self, node: Node, text: str) -> Network | None:
        try:
            return ip_network(text)
        except ValueError as error:
            self.refuse(node, f"'addresses' must be addresses or ranges such as 10.1.2.0/24: {error}")
            return None

    def _certificate(self, node: Node) -> CertificateRule:
        keys = self.mapping(node, "'certificate'", ("sha256", "subject", "dns"))
        if not keys:
            self.refuse(node, "'certificate' demands nothing; say 'sha256', 'subject' or 'dns'")
        digests = [self._digest(each) for each in self._each(keys["sha256"], "'sha256'")] if "sha256" in keys else []
        names = self.texts(keys["dns"], "'dns'") if "dns" in keys else ()
        return CertificateRule(
            sha256=frozenset(digests),
            subject=self._subject(keys["subject"]) if "subject" in keys else frozenset(),
            dns_names=frozenset(name.lower() for name in names),
        )

    def _digest(self, node: Node) -> str:
        digest = self.text(node, "'sha256'")
        if not _DIGEST.fullmatch(digest):
            self.refuse(node, "'sha256' must be the SHA-256 fingerprint of a certificate: 64 hexadecimal digits")
        return digest.lower().removeprefix("sha256:").replace(":", "")

    def _subject(self, node: Node) -> frozenset[tuple[str, str]]:
        keys = self.mapping(node, "'subject'", _ATTRIBUTES)
        if not keys:
            self.refuse(node, "'subject' is empty; say for instance {CN: ct1.hospital.example}")
        return frozenset((_ATTRIBUTES[key], self.text(value, f"'{key}'")) for key, value in keys.items())

    def _sop_classes(self, node: Node) -> frozenset[str] | Literal["any", "standard"]:
        if isinstance(node, ScalarNode) and node.value in ("any", "standard"):
            return "any" if node.value == "any" else "standard"
        classes = [(each, self.text(each, "'sop_classes'")) for each in self._each(node, "'sop_classes'")]
        for each, uid in classes:
            if not is_uid(uid):
                self.refuse(each, "'sop_classes' must be any, standard or a list of UIDs")
        return frozenset(uid for _each, uid in classes)

    def _rate(self, node: Node) -> Rate:
        keys = self.mapping(node, "'rate'", ("instances", "bytes"))
        return Rate(
            instances=self.count(keys["instances"], "'instances'") if "instances" in keys else None,
            size=self.size(keys["bytes"], "'bytes'") if "bytes" in keys else None,
        )

    def _call_back(self, node: Node, title: str) -> CallBack:
        keys = self.mapping(node, "'call_back'", ("host", "port", "ae_title", "tls", "ca"), required=("host", "port"))
        port = self.count(keys["port"], "'port'") if "port" in keys else 1
        if port > 65535:
            self.refuse(keys["port"], "'port' must be at most 65535")
        return CallBack(
            host=self.text(keys["host"], "'host'") if "host" in keys else "",
            port=port,
            ae_title=self._title(keys["ae_title"], "'ae_title'") if "ae_title" in keys else title,
            tls=self._choice(keys.get("tls"), "'tls'", ("true", "false")) == "true",
            ca=self.text(keys["ca"], "'ca'") if "ca" in keys else None,
        )
