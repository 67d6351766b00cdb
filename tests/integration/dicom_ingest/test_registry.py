"""The AE registry at the port of either receiver: who comes in, with what, how many, and what changes at run time."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import CTImageStorage, Verification

from tests.integration.dicom_ingest.peers import EXPLICIT, with_verdict
from tests.integration.dicom_ingest.site import RECEIVERS, IngestSite
from tests.support.instances import make_instances

pytestmark = pytest.mark.parametrize("site", RECEIVERS, indirect=True)

MIB = 1024 * 1024
PRIVATE = "1.3.12.2.1107.5.9.1"


def call(port: int, ae_title: str, called: str = "CAUSEWAY") -> Association:
    """An association that proposes verification, CT and a private class."""
    entity = AE(ae_title=ae_title)
    for sop_class in (Verification, CTImageStorage, PRIVATE):
        entity.add_requested_context(sop_class, EXPLICIT)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 20
    return with_verdict(lambda: entity.associate("127.0.0.1", port, ae_title=called))


def rejection(association: Association) -> tuple[int, int, int]:
    """Result, source and reason of PS3.8 table 9-21."""
    assert association.is_rejected, association.is_established
    told = association.acceptor.primitive
    return told.result, told.result_source, told.diagnostic


def taken(association: Association) -> set[str]:
    """The SOP classes that were accepted; the association is released."""
    assert association.is_established
    classes = {str(context.abstract_syntax) for context in association.accepted_contexts}
    association.release()
    return classes


def registry(site: IngestSite, *peers: str, unknown: str = "reject") -> Path:
    """The site's peers.yaml with these peers, written in one step."""
    path, draft = site.folder / "peers.yaml", site.folder / "peers.draft"
    listed = "".join(f"  - {peer}\n" for peer in peers)
    draft.write_text(f"format: causeway.peers/1\nunknown: {unknown}\n" + (f"peers:\n{listed}" if peers else ""))
    return draft.replace(path)


def within(seconds: float, holds: Callable[[], Any]) -> None:
    """Return once it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


async def test_who_is_registered_comes_in_and_all_others_are_told_why_not(site: IngestSite) -> None:
    here, elsewhere = (
        "{ae_title: CT1, addresses: 127.0.0.0/8, called: CAUSEWAY}",
        "{ae_title: MR2, addresses: 10.0.0.1}",
    )
    site.start(peers_file=registry(site, here, elsewhere))
    assert rejection(call(site.port, "CT9")) == (1, 1, 3)
    assert rejection(call(site.port, "MR2")) == (1, 1, 3)
    assert rejection(call(site.port, "CT1", called="PACS")) == (1, 1, 7)
    assert taken(call(site.port, "CT1")) == {Verification, CTImageStorage, PRIVATE}


async def test_a_stranger_may_bring_what_the_standard_knows(site: IngestSite) -> None:
    site.start(peers_file=registry(site, "{ae_title: CT1, addresses: '127.0.0.1'}", unknown="accept"))
    assert taken(call(site.port, "CT9")) == {Verification, CTImageStorage}
    assert taken(call(site.port, "CT1")) == {Verification, CTImageStorage, PRIVATE}


async def test_a_changed_registry_counts_from_the_next_call_and_ends_no_association(site: IngestSite) -> None:
    known = "{ae_title: CT1, addresses: 127.0.0.1}"
    site.start(peers_file=registry(site, known))
    (image,) = make_instances(1)
    association = call(site.port, "CT1")
    registry(site, "{ae_title: CT2, addresses: 127.0.0.1}")
    assert rejection(call(site.port, "CT1")) == (1, 1, 3)
    assert taken(call(site.port, "CT2"))
    assert association.send_c_store(image).Status == 0
    association.release()
    registry(site, "{ae_title: CT3, addresses: nowhere}")
    within(10, lambda: site.logged("reload-refused"))
    assert site.logged("reload-refused")[0]["line"] == 4
    assert taken(call(site.port, "CT2"))
    registry(site, known)
    assert taken(call(site.port, "CT1"))


async def test_one_title_has_so_many_associations_and_another_has_its_own(site: IngestSite) -> None:
    peers = ("{ae_title: CT1, addresses: 127.0.0.1}", "{ae_title: CT2, addresses: 127.0.0.1, associations: 1}")
    site.start(peers_file=registry(site, *peers), max_associations_per_ae=2)
    first, second, other = call(site.port, "CT1"), call(site.port, "CT1"), call(site.port, "CT2")
    assert first.is_established and second.is_established and other.is_established
    assert rejection(call(site.port, "CT1")) == (2, 3, 2)
    assert rejection(call(site.port, "CT2")) == (2, 3, 2)
    first.release()
    within(10, lambda: call(site.port, "CT1").is_established)
    second.abort()
    other.release()


async def test_ids_of_a_peer_are_those_of_its_issuers(site: IngestSite) -> None:
    guest = "{ae_title: GUEST, addresses: 127.0.0.1, patient_issuer: THERE, order_issuer: THEIR_RIS}"
    site.start(peers_file=registry(site, guest, unknown="accept"), patient_issuer="HERE", order_issuer="OUR_RIS")
    study = make_instances(2, PatientID="P1", AccessionNumber="A1")
    for ae_title, image in zip(("GUEST", "CT1"), study, strict=True):
        association = call(site.port, ae_title)
        assert association.send_c_store(image).Status == 0
        association.release()
    landed = await site.landed(2)
    tokens = {
        each.sop_instance_uid: (each.routing.patient_token, each.routing.accession_token)
        for batch in landed
        for each in batch.manifest.instances
    }
    key = site.site_key
    assert tokens == {
        study[0].SOPInstanceUID: (key.patient_token("THERE", "P1"), key.accession_token("THEIR_RIS", "A1")),
        study[1].SOPInstanceUID: (key.patient_token("HERE", "P1"), key.accession_token("OUR_RIS", "A1")),
    }


async def test_a_peer_with_a_rate_is_slowed_and_loses_nothing(site: IngestSite) -> None:
    site.start(peers_file=registry(site, "{ae_title: CT1, addresses: 127.0.0.1, rate: {instances: 4}}"))
    association = call(site.port, "CT1")
    began = time.monotonic()
    assert [association.send_c_store(image).Status for image in make_instances(8)] == [0] * 8
    assert 0.8 < time.monotonic() - began < 5
    association.release()


async def test_of_an_instance_that_is_too_large_no_more_is_written_than_may_be(site: IngestSite) -> None:
    site.start(max_instance=MIB)
    association = call(site.port, "CT1")
    before = written(site)
    assert association.send_c_store(make_instances(1, rows=4096)[0]).Status == 0xA700
    assert written(site) - before < 4 * MIB
    association.release()


def written(site: IngestSite) -> int:
    """Bytes that the service has written so far, of files and to peers."""
    lines = [line for pid in site.pids for line in Path(f"/proc/{pid}/io").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("wchar"))


async def test_a_class_may_have_a_size_of_its_own(site: IngestSite) -> None:
    site.start(max_instance_by_class=f'{{"{CTImageStorage}": 10000}}')
    association = call(site.port, "CT1")
    small, large = *make_instances(1, rows=16), *make_instances(1, rows=128)
    assert association.send_c_store(large).Status == 0xA700
    assert association.send_c_store(small).Status == 0
    association.release()
