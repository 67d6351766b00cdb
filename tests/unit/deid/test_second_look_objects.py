"""What is stored of a pack beside its files tells nothing: manifest, keys, and the metadata of its objects."""

import asyncio
import json
from io import BytesIO

import obstore
import pytest
from obstore.store import MemoryStore

from services.deid.adapters.work_area import StoredWorkArea, quarantine_key
from services.deid.domain.looking.objects import TellingKey, opaque
from services.deid.domain.looking.scanner import Finding
from services.deid.domain.packing import CleanPack, Original, clean_pack, pack_id_of
from services.deid.domain.part10 import Project
from services.deid.domain.pseudonyms import ProjectKey
from services.deid.domain.withholding import Reason
from services.deid.domain.workspace import Workspace
from shared.storage import ObjectStore
from tests.support.instances import as_file
from tests.unit.deid.looked_at import look, original, plain
from tests.unit.deid.originals import describe, project


def packed(pack_id: str, using: Project) -> CleanPack:
    """A pack of one file."""
    before, _ = plain()
    one = Original(describe(before), (lambda: [before],))
    return clean_pack(pack_id, [one], using, Workspace.of(BytesIO))


def objects(store: MemoryStore) -> dict[str, dict[str, str]]:
    """Key and metadata of every object."""
    keys = [meta["path"] for some in obstore.list(store) for meta in some]
    return {key: dict(obstore.get(store, key, options={"head": True}).attributes) for key in keys}


async def test_nothing_is_found_in_the_objects_of_a_pack() -> None:
    """Manifest and headers as they are written; keys; metadata. The links stay on site, and name the originals."""
    store, using = MemoryStore(), project()
    pack, area = packed(pack_id_of("source", using), using), StoredWorkArea(ObjectStore(store))
    outputs = await area.keep(pack, using)
    assert outputs is not None
    kept = (outputs.manifest, outputs.headers, await area.keep_report(pack, using, "source"))
    stored = await asyncio.to_thread(objects, store)
    assert {key.split("/")[0] for key in stored} == {"packs", "links", "reports"}
    assert {name for metadata in stored.values() for name in metadata} == {"sha256"}
    told = [("key", key.encode()) for key in stored]
    told += [("metadata", json.dumps(metadata).encode()) for metadata in stored.values()]
    for name, blob in zip(("manifest", "headers", "report"), kept, strict=True):
        (key,) = (each for each in stored if each.startswith(f"{blob.key}/"))
        content = bytes(await obstore.get(store, key).bytes_async())
        told += [(name, line) for line in content.splitlines()]
    before, after = plain()
    assert look(before, after, told) == ()


@pytest.mark.parametrize("name", ["manifest", "key", "metadata", "headers"])
@pytest.mark.parametrize("planted", ["packs/{}/manifest", '{{"sha256": "{}"}}', '{{"id": "{}", "study": [7]}}'])
@pytest.mark.parametrize("text", ["LINDQVIST", "QX-48/1516", "qx481516", "ACC778899", "19700101", "uid"])
def test_an_identifier_is_found_in_whatever_is_told(name: str, planted: str, text: str) -> None:
    before, after = plain()
    uid = before[before.index(b"\x20\0\x0d\0UI") + 8 :][:64].split(b"\x20\0")[0].strip(b"\0").decode()
    document = planted.format(uid if text == "uid" else text).encode()
    assert {each.place for each in look(before, after, [(name, document)])} == {name}


def test_an_identifier_that_looks_like_a_digest_counts_as_a_whole() -> None:
    made = original()
    made.PatientID = "00112233445566778899aabbccddeeff"
    before, (_, after) = as_file(made), plain()
    assert look(before, after, [("manifest", b'{"id": "00112233445566778899aabbccddeefe"}')]) == ()
    found = look(before, after, [("manifest", b'{"id": "00112233445566778899aabbccddeeff"}')])
    assert found == (Finding("manifest", "identifier"),)


def test_the_name_of_the_pack_is_looked_at() -> None:
    """It stands in the manifest, and others call the pack by it."""
    using = project()
    assert packed(pack_id_of("source", using), using).held == ()
    pack = packed("for-lindqvist", using)
    (held,) = pack.held
    assert held.reason is Reason.SECOND_LOOK
    assert pack.held_record(held).findings == (Finding("pack", "name"),)
    assert not pack.released and b"lindqvist" in b"".join(pack.manifest.chunks())


class TellingProjectKey(ProjectKey):
    """Forgets to make a token."""

    def storage_key(self, form: str, *parts: str | int) -> str:
        return f"{form}/lindqvist"


async def test_an_object_is_not_stored_under_a_key_that_tells_anything() -> None:
    store, using = MemoryStore(), project()
    pack = packed(pack_id_of("source", using), using)
    telling = Project(using.name, TellingProjectKey(b"p" * 32), using.rules, using.refuse)
    with pytest.raises(TellingKey):
        await StoredWorkArea(ObjectStore(store)).keep(pack, telling)
    assert await asyncio.to_thread(objects, store) == {}


@pytest.mark.parametrize(
    "key", ["", "packs/lindqvist/manifest", f"packs/{'0' * 32}/lindqvist", f"lindqvist/{'0' * 32}", f"links/{'0' * 33}"]
)
def test_a_key_has_words_of_ours_and_a_token(key: str) -> None:
    using = project()
    pack = packed("for-lindqvist", using)
    assert opaque(quarantine_key(using, pack.held[0])).startswith("quarantine/")
    with pytest.raises(TellingKey):
        opaque(key)
