"""Which peer a request for commitment is of, and where that one is called (PS3.4 section J.3.3; examples/peers.yaml).

Several peers may share an AE title. What a report names is for the one that asked, so it is that one that is called, or
none: an address that only has the right title may be another device's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from services.dicom_ingest.domain.peers import CallBack, Peer, Registry
from shared.identity import SiteKey


@dataclass(frozen=True)
class NoCall:
    """Nobody is called: nobody said where, or it is not sure which of several peers is meant."""

    reason: Literal["no-call-back", "shared-title"]


def remembered(registry: Registry | None, peer: Peer, site_key: SiteKey) -> str | None:
    """What a request keeps of the peer that made it, 32 hexadecimal digits; None where its AE title says it."""
    return reference(peer, site_key) if _is_shared(registry, peer.ae_title, site_key) else None


def reference(peer: Peer, site_key: SiteKey) -> str:
    """What stands for a peer: its AE title with all that proves it, 32 hexadecimal digits."""
    return site_key.token("peer", peer.ae_title, *sorted(_proofs(peer)))


def called(
    registry: Registry | None, settled: Mapping[str, CallBack], ae_title: str, peer: str | None, site_key: SiteKey
) -> CallBack | NoCall:
    """Where the peer with this AE title is called of which a request keeps ``peer`` (``remembered``).

    By the registry as it now is, else by what is ``settled`` for titles that one peer has. A request that keeps
    nothing, of one whose title had no other or from before that was kept, is reported while nobody shares the title.
    """
    registered = list(registry.find(ae_title)) if registry is not None else []
    meant = [each for each in registered if peer in (None, reference(each, site_key))]
    is_shared = _is_shared(registry, ae_title, site_key)
    if is_shared if peer is None else not meant:
        return NoCall("shared-title")
    told = next((each.call_back for each in meant if each.call_back), None)
    return told or (None if is_shared else settled.get(ae_title)) or NoCall("no-call-back")


def _is_shared(registry: Registry | None, ae_title: str, site_key: SiteKey) -> bool:
    """Whether several have the title: two entries with the same proofs, for two called titles, are one peer's."""
    registered = registry.find(ae_title) if registry is not None else ()
    return len({reference(each, site_key) for each in registered}) > 1


def _proofs(peer: Peer) -> Iterator[str]:
    yield from (f"address={network}" for network in peer.addresses)
    if peer.certificate is not None:
        yield from (f"sha256={digest}" for digest in peer.certificate.sha256)
        yield from (f"subject={attribute}={value}" for attribute, value in peer.certificate.subject)
        yield from (f"dns={name}" for name in peer.certificate.dns_names)
