"""Who sends messages, and what is to be known of each: the registry of senders (examples/senders.yaml).

MSH-3 and MSH-4 are names, not proofs. A sender is known by them together with the addresses it calls from, the
certificate it shows, or both, as far as its entry asks for them.
"""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Literal

from services.hl7_fhir.domain.clinical.record import Site

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message came from: the peer's address, and SHA-256 of its certificate in hex where it showed one."""

    address: str = ""
    certificate: str = ""


@dataclass(frozen=True)
class Sender:
    """One system that sends, and how its messages are read.

    ``unsupported`` says what becomes of triggers that are not mapped: kept and AA, or AR. ``trouble`` says what it
    hears when a message cannot be kept at the moment: AR at once, or nothing until it can be (for a while).
    ``strict`` has messages validated against the profile of their version before they are taken.
    """

    name: str
    site: Site
    charset: str = "utf-8"
    applications: frozenset[str] = frozenset()
    facilities: frozenset[str] = frozenset()
    addresses: tuple[Network, ...] = ()
    certificates: frozenset[str] = frozenset()
    unsupported: Literal["accept", "reject"] = "accept"
    trouble: Literal["reject", "hold"] = "reject"
    strict: bool = False

    def is_it(self, application: str, facility: str, origin: Origin) -> bool:
        """Whether a message with these names (MSH-3.1, MSH-4.1) from there is this sender's."""
        return (
            (not self.applications or application in self.applications)
            and (not self.facilities or facility in self.facilities)
            and (not self.certificates or origin.certificate in self.certificates)
            and (not self.addresses or self._is_at(origin.address))
        )

    def _is_at(self, address: str) -> bool:
        try:
            found = ip_address(address.split("%")[0])
        except ValueError:
            return False
        plain = found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
        return any(plain in network for network in self.addresses)


@dataclass(frozen=True)
class Senders:
    """All that are registered, first come first, and ``others``: how those are read who are not; None refuses them."""

    others: Sender | None
    registered: tuple[Sender, ...] = ()
    _by_name: dict[str, Sender] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        self._by_name.update((sender.name, sender) for sender in self.registered)

    def who(self, application: str, facility: str, origin: Origin) -> Sender | None:
        """Whose message it is; None for nobody's, where strangers are refused."""
        for sender in self.registered:
            if sender.is_it(application, facility, origin):
                return sender
        return self.others

    def named(self, name: str) -> Sender | None:
        """The sender called ``name`` as now registered; for one that is gone, or was none, how strangers are read."""
        return self._by_name.get(name, self.others)
