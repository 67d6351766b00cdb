"""Under each attack a legitimate sender loses nothing, memory stays within its bound, and the attacker is told."""

from pathlib import Path

import pytest

from tests.integration.dicom_ingest.peers import echoes
from tests.integration.dicom_ingest.secured import Secured
from tests.integration.dicom_ingest.site import MEMORY_BOUND, RECEIVERS, IngestSite, dcmtk, write_files
from tests.support.attackers import ATTACKS, SECURED, attacked, attacks_on
from tests.support.instances import as_file, make_instances
from tests.support.services import eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.dcmtk,
    pytest.mark.timeout(300),
]

ASSOCIATIONS, EACH = 3, 20
#: What an attacker may be told.
VERDICTS = {
    "slow_senders": {"A-ABORT", "A-ASSOCIATE-RJ", "closed"},
    "slow_handshakes": {"alert", "closed"},
    "slow_associations": {"A-ABORT", "A-ASSOCIATE-RJ", "closed"},
    "pdu_4gib": {"A-ABORT"},
    "million_items": {"0000"},
    "deflate_bomb": {"0000"},
    "deep_nesting": {"0000"},
}


#: So that those who are too slow are told so while the test lasts; others meet the settings as they are.
SETTINGS = {key: {"pdu_header_deadline": 1.0} for key in ("slow_senders", "slow_handshakes", "pdu_4gib")}


@pytest.mark.parametrize(
    ("site", "name"),
    [(receiver, name) for receiver in RECEIVERS for name in attacks_on(receiver)],
    indirect=["site"],
)
async def test_an_attack_costs_a_legitimate_sender_nothing(site: IngestSite, tmp_path: Path, name: str) -> None:
    images = make_instances(ASSOCIATIONS * EACH, rows=256)
    files = write_files(tmp_path / "send", map(as_file, images))
    secured = Secured(site)
    secured.start(**SETTINGS.get(name, {}))
    with attacked(ATTACKS[name], secured.port if name in SECURED else site.port) as tally:
        # An association is begun anew in the midst of it, more than once.
        for at in range(0, len(files), EACH):
            status, told = dcmtk("dcmsend", "-nuc", "127.0.0.1", str(site.port), *files[at : at + EACH])
            assert status == 0, told
        await eventually(lambda: tally.answers)
    assert tally.answers and set(tally.answers) <= VERDICTS[name], tally.answers
    assert echoes(site.port)
    landed = await site.landed(len(files) + tally.stored, timeout=90)
    found = [(each, batch) for batch in landed for each in batch.manifest.instances]
    assert len(found) == len(files) + tally.stored
    ours = {image.SOPInstanceUID: file.read_bytes() for image, file in zip(images, files, strict=True)}
    for instance, batch in found:
        sent = ours.pop(instance.sop_instance_uid, None)
        assert sent is None or sent.endswith(batch.dataset(instance))
        assert sent is not None or {"opaque-header", "abridged-header", "inflates-too-far"} & {*instance.flags}
    assert ours == {}
    await site.spool_is_empty()
    assert site.peak_bytes() < MEMORY_BOUND
