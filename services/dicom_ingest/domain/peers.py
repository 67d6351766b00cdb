"""Who may call, for what: the AE registry and its decisions (PS3.8 sections 7.1.1 and 9.3.4; examples/peers.yaml).

An AE title is a name, not a proof. A peer is known by its title together with the addresses it calls from, the
certificate it shows, or both; whoever only claims the title of a known peer is turned away.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Literal

from services.dicom_ingest.domain.negotiation import is_standard_storage, is_storage

Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Certificate:
    """What a client certificate says (RFC 5280): SHA-256 of its DER in hex, subject attributes, DNS names."""

    sha256: str
    subject: frozenset[tuple[str, str]] = frozenset()
    dns_names: frozenset[str] = frozenset()


@dataclass(frozen=True)
class CertificateRule:
    """Which certificates are a peer's: one of these digests, all these subject attributes, one of these DNS names."""

    sha256: frozenset[str] = frozenset()
    subject: frozenset[tuple[str, str]] = frozenset()
    dns_names: frozenset[str] = frozenset()

    def admits(self, shown: Certificate | None) -> bool:
        """Whether ``shown`` has everything that is demanded."""
        if shown is None:
            return False
        return (
            (not self.sha256 or shown.sha256 in self.sha256)
            and self.subject <= shown.subject
            and (not self.dns_names or not self.dns_names.isdisjoint(shown.dns_names))
        )


@dataclass(frozen=True)
class Rate:
    """How fast a peer may send, each second; None: as fast as it can."""

    instances: float | None = None
    size: int | None = None


@dataclass(frozen=True)
class CallBack:
    """Where a peer is called for the result of a storage commitment (PS3.4 annex J.3.3)."""

    host: str
    port: int
    ae_title: str
    tls: bool = False
    #: A PEM file of who signs its certificate, where that is not who signs those of all others.
    ca: str | None = None


@dataclass(frozen=True)
class Peer:
    """One registered device. ``idle`` is seconds, ``associations`` how many it may have at a time.

    ``sop_classes`` is ``any`` (private and unknown ones too), ``standard``, or the UIDs that are taken. ``quiet`` is
    how long it may pause within a study, seconds. ``holder`` is whose token it shows over HTTP, where it may.
    """

    ae_title: str
    addresses: tuple[Network, ...] = ()
    certificate: CertificateRule | None = None
    called: frozenset[str] = frozenset()
    sop_classes: frozenset[str] | Literal["any", "standard"] = "any"
    rate: Rate = Rate()
    associations: int | None = None
    idle: float | None = None
    quiet: float | None = None
    patient_issuer: str | None = None
    order_issuer: str | None = None
    call_back: CallBack | None = None
    holder: str | None = None

    def is_it(self, caller: "Caller") -> bool:
        """Whether the caller is this peer and not only calls itself so: an AE title alone proves nothing."""
        proven = bool(self.addresses) or self.certificate is not None
        shown = self.certificate is None or self.certificate.admits(caller.certificate)
        return proven and shown and self.is_at(caller.address)

    def is_at(self, address: str) -> bool:
        """Whether it may call from this address."""
        found = _address(address)
        return not self.addresses or any(found in network for network in self.addresses if found)

    def takes(self, sop_class: str) -> bool:
        """Whether instances of a SOP class are taken of it."""
        return _takes(self.sop_classes, sop_class)


#: Those who are accepted unregistered where there is a registry: nothing private, nothing unknown.
STRANGER = Peer(ae_title="", sop_classes="standard")
#: Everybody, where there is no registry.
ANYBODY = Peer(ae_title="")


@dataclass(frozen=True)
class Caller:
    """Who asks for an association: AE titles (PS3.8 section 9.3.2), address, certificate if the transport has one."""

    calling_ae: str
    called_ae: str
    address: str
    certificate: Certificate | None = None


@dataclass(frozen=True)
class Turned:
    """Turned away for good; ``reason`` as in PS3.8 table 9-21, source 1."""

    reason: Literal[3, 7]


#: Calling AE title not recognized, called AE title not recognized.
CALLING_UNKNOWN, CALLED_UNKNOWN = Turned(3), Turned(7)


@dataclass(frozen=True)
class Registry:
    """The peers that are known, and what becomes of others; several may share a title at different addresses."""

    peers: tuple[Peer, ...] = ()
    unknown: Literal["accept", "reject"] = "reject"
    _by_title: dict[str, tuple[Peer, ...]] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        for peer in filter(lambda peer: peer.ae_title, self.peers):
            self._by_title[peer.ae_title] = (*self._by_title.get(peer.ae_title, ()), peer)

    def decide(self, caller: Caller) -> Peer | Turned:
        """The peer that calls, or why it is turned away."""
        registered = self._by_title.get(caller.calling_ae)
        if not registered:
            return STRANGER if self.unknown == "accept" else CALLING_UNKNOWN
        found = [peer for peer in registered if peer.is_it(caller)]
        if not found:
            return CALLING_UNKNOWN
        called = (peer for peer in found if not peer.called or caller.called_ae in peer.called)
        return next(called, CALLED_UNKNOWN)

    def decide_http(self, holder: str, address: str) -> Peer | None:
        """The peer that sends over HTTP, known by whose token it shows; None when it is turned away."""
        registered = [peer for peer in self.peers if peer.holder == holder]
        if not registered:
            return STRANGER if self.unknown == "accept" else None
        return next((peer for peer in registered if peer.is_at(address)), None)

    def expects(self, address: str) -> bool:
        """Whether a peer that is known by where it calls from may call from this address."""
        return any(peer.addresses and peer.is_at(address) for peer in self.peers)

    def find(self, ae_title: str) -> Iterable[Peer]:
        """The peers that have an AE title."""
        return self._by_title.get(ae_title, ())


def _takes(classes: frozenset[str] | str, sop_class: str) -> bool:
    if isinstance(classes, frozenset):
        return sop_class in classes and is_storage(sop_class)
    return is_standard_storage(sop_class) if classes == "standard" else is_storage(sop_class)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """As it is compared: the address of version 4 that one of version 6 stands for (RFC 4291 section 2.5.5.2)."""
    try:
        address = ip_address(text.split("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
