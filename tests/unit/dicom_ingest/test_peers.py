"""Who is let in by the registry, and what a registry must look like."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from services.dicom_ingest.domain.negotiation import Proposal, decide
from services.dicom_ingest.domain.peers import (
    ANYBODY,
    CALLED_UNKNOWN,
    CALLING_UNKNOWN,
    STRANGER,
    CallBack,
    Caller,
    Certificate,
    Peer,
    Rate,
    Registry,
)
from services.dicom_ingest.domain.peers_file import read_peers
from shared.yaml_lines import DocumentRefused

EXAMPLE = Path(__file__).parents[3] / "examples" / "peers.yaml"
CT, PRIVATE, UNKNOWN = "1.2.840.10008.5.1.4.1.1.2", "1.3.12.2.1107.5.9.1", "1.2.840.10008.5.1.4.1.1.999"
DIGEST = "0f1e2d3c4b5a69788796a5b4c3d2e1f0" * 2
SUBJECT = {("commonName", "mr2.radiology.hospital.example"), ("organizationName", "General Hospital")}
SHOWN = Certificate(DIGEST, frozenset(SUBJECT | {("countryName", "DE")}), frozenset({"mr2.radiology.hospital.example"}))


def registry(*peers: str, unknown: str = "reject") -> Registry:
    """What a file with these peers, each in flow style, says."""
    listed = "".join(f"  - {peer}\n" for peer in peers)
    return read_peers(f"format: causeway.peers/1\nunknown: {unknown}\n" + (f"peers:\n{listed}" if peers else ""))


def call(known: Registry, ae: str = "CT1", *, called: str = "CAUSEWAY", at: str = "10.0.0.5", shows=None):  # type: ignore[no-untyped-def]
    """The registry's decision."""
    return known.decide(Caller(ae, called, at, shows))


def test_the_example_says_what_its_comments_say() -> None:
    known = read_peers(EXAMPLE.read_text())
    ct, mr, remote, gateway = known.peers
    assert known.unknown == "reject"
    assert ct == Peer("CT1", (ip_network("10.20.1.17"), ip_network("10.20.2.0/24")), called=frozenset({"CAUSEWAY"}))
    assert (mr.rate, mr.associations, mr.idle, mr.sop_classes) == (Rate(200, 50 * 1024**2), 8, 600, "standard")
    assert (mr.quiet, remote.holder) == (900, "telerad")
    assert gateway == Peer("", sop_classes="standard", rate=Rate(50), associations=2, holder="research-gateway")
    assert mr.certificate is not None and mr.certificate.subject == SUBJECT and mr.certificate.sha256 == {DIGEST}
    assert (remote.patient_issuer, remote.order_issuer) == ("OTHER_HOSPITAL", "OTHER_HOSPITAL_RIS")
    assert remote.call_back == CallBack("192.0.2.3", 2762, "TELERAD_SCU", True, "/etc/causeway/telerad-ca.pem")


@pytest.mark.parametrize("address", ["10.0.0.5", "::ffff:10.0.0.5", "10.0.0.250"])
def test_a_peer_is_known_at_its_addresses(address: str) -> None:
    known = registry("{ae_title: CT1, addresses: 10.0.0.0/24}")
    assert call(known, at=address) is known.peers[0]


@pytest.mark.parametrize("address", ["10.0.1.5", "::1", "fe80::1%eth0", "", "no address"])
@pytest.mark.parametrize("unknown", ["accept", "reject"])
def test_a_title_from_another_address_is_only_a_claim(address: str, unknown: str) -> None:
    assert call(registry("{ae_title: CT1, addresses: 10.0.0.0/24}", unknown=unknown), at=address) == CALLING_UNKNOWN


def test_a_peer_with_a_certificate_must_show_it() -> None:
    known = read_peers(EXAMPLE.read_text())
    assert call(known, "MR2", shows=SHOWN) is known.peers[1]
    for other in (
        None,
        Certificate("ab" * 32, SHOWN.subject, SHOWN.dns_names),
        Certificate(DIGEST, frozenset(list(SUBJECT)[:1]), SHOWN.dns_names),
        Certificate(DIGEST, SHOWN.subject, frozenset({"ct1.hospital.example"})),
    ):
        assert call(known, "MR2", shows=other) == CALLING_UNKNOWN


def test_one_title_may_be_two_devices() -> None:
    known = registry("{ae_title: US, addresses: 10.0.0.1}", "{ae_title: US, addresses: 10.0.0.2, called: PACS}")
    assert call(known, "US", at="10.0.0.1") is known.peers[0]
    assert call(known, "US", at="10.0.0.2", called="PACS") is known.peers[1]
    assert call(known, "US", at="10.0.0.2") == CALLED_UNKNOWN


def test_others_are_rejected_or_strangers() -> None:
    assert call(registry()) == CALLING_UNKNOWN
    assert call(registry(unknown="accept")) is STRANGER


@pytest.mark.parametrize(
    ("peer", "taken"),
    [
        (ANYBODY, {CT, PRIVATE, UNKNOWN}),
        (STRANGER, {CT}),
        (registry("{ae_title: A, addresses: '::1'}").peers[0], {CT, PRIVATE, UNKNOWN}),
        (registry("{ae_title: A, addresses: '::1', sop_classes: standard}").peers[0], {CT}),
        (
            registry(f"{{ae_title: A, addresses: '::1', sop_classes: [{PRIVATE}, 1.2.840.10008.1.20.2]}}").peers[0],
            {PRIVATE},
        ),
    ],
)
def test_private_and_unknown_classes_are_taken_of_registered_peers_only(peer: Peer, taken: set[str]) -> None:
    asked = (CT, PRIVATE, UNKNOWN, "1.2.840.10008.1.20.2", "1.2.840.10008.5.1.4.1.2.1.1")
    assert {uid for uid in asked if decide(Proposal(1, uid, ("1.2.840.10008.1.2",)), peer.takes).result == 0} == taken


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("format: causeway.peers/1\n", 1, "no 'unknown'"),
        ("format: causeway.peers/2\nunknown: accept\n", 1, "'format' must be"),
        ("format: causeway.peers/1\nunknown: perhaps\n", 2, "one of accept, reject"),
        ("peers:\n - ae_title: CT1\n", 2, "an AE title alone proves nothing"),
        ("peers:\n - addresses: 10.0.0.1\n", 2, "no 'ae_title'"),
        ("peers:\n - ae_title: LONGER_THAN_SIXTEEN\n   addresses: 10.0.0.1\n", 2, "16 characters"),
        ("peers:\n - ae_title: CT1\n   addresses: [10.0.0.1,\n    10.0.0.1/8]\n", 4, "has host bits set"),
        ("peers:\n - ae_title: CT1\n   adresses: 10.0.0.1\n", 3, "did you mean 'addresses'?"),
        ("peers:\n - ae_title: CT1\n   certificate: {sha256: abc}\n", 3, "64 hexadecimal digits"),
        ("peers:\n - ae_title: CT1\n   certificate: {}\n", 3, "demands nothing"),
        ("peers:\n - ae_title: CT1\n   certificate: {subject: {XY: z}}\n", 3, "unknown key 'XY'"),
        ("peers:\n - ae_title: CT1\n   addresses: '::1'\n   sop_classes: [CT]\n", 4, "a list of UIDs"),
        ("peers:\n - ae_title: CT1\n   addresses: '::1'\n   rate: {instances: 0}\n", 4, "whole number"),
        ("peers:\n - ae_title: CT1\n   addresses: '::1'\n   call_back: {host: a, port: 70000}\n", 4, "at most 65535"),
        (
            "peers:\n - ae_title: CT1\n   addresses: '::1'\n   call_back: {host: a, port: 1, tls: on}\n",
            4,
            "true, false",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(text: str, line: int, says: str) -> None:
    if not text.startswith("format"):
        text, line = f"format: causeway.peers/1\nunknown: accept\n{text}", line + 2
    with pytest.raises(DocumentRefused) as refused:
        read_peers(text)
    assert (line, True) in [(problem.line, says in problem.text) for problem in refused.value.problems]
