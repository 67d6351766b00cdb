"""Peers that share an AE title: each is called back for its own requests, and never for another's."""

from contracts.events import CommitmentRequested
from services.dicom_ingest.domain import call_backs, commitment
from services.dicom_ingest.domain.call_backs import NoCall
from services.dicom_ingest.domain.commitment import Asked
from services.dicom_ingest.domain.peers import Caller, Certificate, Peer, Registry
from services.dicom_ingest.domain.peers_file import read_peers
from shared.identity import SiteKey
from tests.unit.dicom_ingest.test_commitment import CT, NOW

SITE_KEY = SiteKey(bytes(range(32)))
SETTLED = commitment.read_callbacks("CT1=settled.example:104,CT2=settled.example:104")
FIRST = "{ae_title: CT1, addresses: [10.0.0.1], call_back: {host: 10.0.0.1, port: 104}}"
SECOND = "{ae_title: CT1, addresses: [10.0.0.2], call_back: {host: 10.0.0.2, port: 104}}"
SILENT = "{ae_title: CT1, addresses: [10.0.0.3]}"
SHOWN = "{ae_title: CT1, certificate: {dns: %s}, call_back: {host: %s, port: 104}}"


def registry(*peers: str) -> Registry:
    listed = "".join(f"  - {peer}\n" for peer in peers)
    return read_peers(f"format: causeway.peers/1\nunknown: reject\npeers:\n{listed}")


def caller(known: Registry, address: str, dns: str = "") -> Peer:
    shown = Certificate("ab" * 32, dns_names=frozenset([dns])) if dns else None
    found = known.decide(Caller("CT1", "CAUSEWAY", address, shown))
    assert isinstance(found, Peer)
    return found


def kept(known: Registry | None, peer: Peer) -> str | None:
    return call_backs.remembered(known, peer, SITE_KEY)


def called(known: Registry | None, peer: str | None, title: str = "CT1") -> str:
    """The host that is called, or why none is."""
    found = call_backs.called(known, SETTLED, title, peer, SITE_KEY)
    return found.reason if isinstance(found, NoCall) else found.host


def test_of_those_that_share_a_title_the_one_that_asked_is_called() -> None:
    known = registry(FIRST, SECOND)
    assert [called(known, kept(known, caller(known, f"10.0.0.{n}"))) for n in (1, 2)] == ["10.0.0.1", "10.0.0.2"]


def test_certificates_tell_those_that_share_a_title_apart_as_addresses_do() -> None:
    names = ("a.hospital.example", "b.hospital.example")
    known = registry(*(SHOWN % (name, name) for name in names))
    assert [called(known, kept(known, caller(known, "10.0.0.9", name))) for name in names] == [*names]


def test_who_has_no_call_back_is_not_called_at_that_of_another_or_at_one_for_the_title() -> None:
    known = registry(FIRST, SILENT)
    assert called(known, kept(known, caller(known, "10.0.0.3"))) == "no-call-back"


def test_a_request_that_remembers_nobody_is_reported_while_nobody_shares_the_title() -> None:
    assert called(registry(FIRST, SECOND), None) == "shared-title"
    assert called(registry(FIRST), None) == "10.0.0.1"


def test_a_peer_that_has_its_title_alone_is_called_where_the_registry_now_says() -> None:
    known = registry(FIRST)
    remembered = kept(known, caller(known, "10.0.0.1"))
    assert remembered is None
    assert called(registry(SECOND), remembered) == "10.0.0.2", "it has moved"
    assert called(registry(SILENT), remembered) == "settled.example"


def test_a_peer_that_was_removed_is_not_called_where_another_of_its_title_is() -> None:
    known = registry(FIRST, SECOND)
    remembered = kept(known, caller(known, "10.0.0.1"))
    assert [called(each, remembered) for each in (registry(SECOND), registry("{token: x}"), None)] == [
        "shared-title"
    ] * 3


def test_one_device_may_have_several_entries() -> None:
    """Here one for each title that it calls."""
    known = registry(FIRST.replace("{ae", "{called: [A], ae", 1), SILENT.replace("10.0.0.3", "10.0.0.1"))
    assert called(known, kept(known, caller(known, "10.0.0.1"))) == "10.0.0.1"


def test_without_a_registry_settings_say_where() -> None:
    assert (called(None, None), called(None, None, "CT2"), called(None, None, "MR1")) == (
        "settled.example",
        "settled.example",
        "no-call-back",
    )


def test_a_request_remembers_its_peer_and_tells_nobody_its_address() -> None:
    known = registry(FIRST, SECOND)
    remembered = kept(known, caller(known, "10.0.0.2"))
    asked = commitment.requested(
        Asked("1.2.9", ((CT, "1"),)),
        calling_ae="CT1",
        called_ae="CAUSEWAY",
        site_key=SITE_KEY,
        now=NOW,
        peer=remembered,
    )
    written = asked.model_dump_json()
    assert remembered and remembered in written and "10.0.0.2" not in written
    assert CommitmentRequested.model_validate_json(written) == asked
    earlier = asked.model_dump(exclude={"peer"})
    assert CommitmentRequested.model_validate(earlier).peer is None, "one from before that was kept"
