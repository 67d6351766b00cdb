"""Sealing in memory: from checked batches to parts, and the same parts again."""

from dataclasses import replace

import pytest

from contracts.events import Blob
from contracts.formats import archive
from contracts.formats.headers import header_line
from contracts.formats.manifest import Manifest, place, write_manifest
from contracts.formats.sealed import open_sealed
from services.encryption.domain.orders import Receipt, SealOrder, planned_orders
from services.encryption.domain.plaintext import (
    Batch,
    InputDamaged,
    Pack,
    assemble,
    checked_manifest,
    kept_of,
    plaintext,
)
from services.encryption.domain.sealing import SealingDiffers, receipt, repaired, seal, seal_again
from shared.identity import SiteKey
from tests.support.packs import copies, make_file, planned, sha256
from tests.unit.encryption.samples import BATCH

[ORDER] = planned_orders(SiteKey(bytes(32)), "cause", planned([BATCH], copies("a")))
STUDY_KEY = bytes(range(32))
RECORD = Blob(store="keys", key="key", size=1)


def make_batch(*seeds: int, name: str = "batch", chunk: int = 1000, study: str = "2.25.1000") -> Batch:
    files = [make_file(seed) for seed in seeds]
    placed = tuple(place(instance for _, instance in files))
    contents = {instance.entry: data for instance, (data, _) in zip(placed, files, strict=True)}
    body = b"".join(archive.iterate(placed, lambda instance: [contents[instance.entry]]))
    lines = b"".join(header_line(instance.entry, {}) for instance in placed)
    return Batch(
        manifest=Manifest(form="identified", id=name, study_uid=study, instances=placed),
        headers=lambda: [lines],
        headers_size=len(lines),
        headers_sha256=sha256(lines),
        archive=lambda: [body[start : start + chunk] for start in range(0, len(body), chunk)],
    )


def sealed(order: SealOrder, pack: Pack) -> tuple[Receipt, bytes]:
    ciphertext = seal(order, pack, plaintext(pack), STUDY_KEY)
    data, parts = b"", []
    for part in ciphertext.parts():
        parts.append(part.at(f"key/{part.number}"))
        data += bytes(part.data)
    return receipt(order, pack, ciphertext, RECORD, parts), data


@pytest.mark.parametrize("chunk", [7, 1000, 10**9])
def test_the_plaintext_is_a_pure_function_of_its_batches(chunk: int) -> None:
    """Whatever the chunks, the same bytes, as long as the sections say."""
    pack = assemble("pack", [make_batch(1, 2, chunk=chunk), make_batch(3, chunk=chunk)])
    data = b"".join(plaintext(pack))
    assert data == b"".join(plaintext(assemble("pack", [make_batch(1, 2), make_batch(3)])))
    assert len(data) == pack.sections.manifest + pack.sections.headers + pack.sections.archive


def test_what_is_sealed_opens_to_the_plaintext() -> None:
    pack = assemble("pack", [make_batch(1, 2), make_batch(3)])
    told, data = sealed(ORDER, pack)
    assert b"".join(open_sealed([data], lambda header: STUDY_KEY)) == b"".join(plaintext(pack))
    assert (told.sealed.size, told.sealed.instances) == (len(data), 3)
    assert told.sealed.parts[0].sha256 == sha256(data)


def test_two_seals_of_one_pack_have_nothing_in_common() -> None:
    """Object key, salt and nonces are fresh each time."""
    pack = assemble("pack", [make_batch(1)])
    (_, one), (_, two) = sealed(ORDER, pack), sealed(ORDER, pack)
    assert len(one) == len(two)
    assert one[-5000:] != two[-5000:]


def test_a_pack_is_made_again_byte_for_byte() -> None:
    pack = assemble("pack", [make_batch(1, 2)])
    told, data = sealed(ORDER, pack)
    again = seal_again(told, pack, plaintext(pack), STUDY_KEY)
    assert b"".join(bytes(part.data) for part in again.parts()) == data


def test_other_contents_are_not_sealed_under_an_old_nonce() -> None:
    told, _ = sealed(ORDER, assemble("pack", [make_batch(1)]))
    other = assemble("pack", [make_batch(2)])
    with pytest.raises(SealingDiffers):
        seal_again(told, other, plaintext(other), STUDY_KEY)


def test_a_repaired_receipt_differs_in_the_keys_of_what_was_replaced() -> None:
    told, _ = sealed(ORDER, assemble("pack", [make_batch(1)]))
    new = repaired(told, {1: "elsewhere"})
    assert (new.generation, new.sealed.parts[0].key) == (2, "elsewhere")
    assert new.sealed.parts[0].sha256 == told.sealed.parts[0].sha256


def _damaged(where: str) -> Batch:
    batch = make_batch(1, 2)
    data = b"".join(batch.archive())
    last = batch.manifest.instances[-1]
    broken = {
        "head": data[:50] + b"?" + data[51:],
        "first": data[:400] + b"?" + data[401:],
        "last": data[: last.offset + 9] + b"?" + data[last.offset + 10 :],
        "short": data[: last.offset + 9],
    }
    if where == "headers":
        return replace(batch, headers=lambda: [b'{"entry":"000001.dcm","header":{ }}\n'])
    return replace(batch, archive=lambda: [broken[where]])


@pytest.mark.parametrize("where", ["head", "first", "last", "short", "headers"])
def test_damaged_input_ends_the_plaintext_with_an_error(where: str) -> None:
    with pytest.raises(InputDamaged):
        list(plaintext(assemble("pack", [_damaged(where)])))


@pytest.mark.parametrize("chunk", [7, 10**9])
@pytest.mark.parametrize("digest", ["meta_sha256", "dataset_sha256"])
def test_a_manifest_that_tells_another_file_than_there_is_is_refused(digest: str, chunk: int) -> None:
    """It would be sealed, copied, and never proven."""
    batch = make_batch(1, chunk=chunk)
    [instance] = batch.manifest.instances
    assert list(plaintext(assemble("pack", [batch])))
    claimed = instance.model_copy(update={digest: "0" * 64})
    manifest = batch.manifest.model_copy(update={"instances": (claimed,)})
    with pytest.raises(InputDamaged):
        list(plaintext(assemble("pack", [replace(batch, manifest=manifest)])))


def test_damage_outside_the_files_does_no_harm() -> None:
    """ZIP records of the landing archive are not copied: they are made anew from the manifest."""
    batch = make_batch(1)
    data = b"?" * 4 + b"".join(batch.archive())[4:-10]
    assert list(plaintext(assemble("pack", [replace(batch, archive=lambda: [data])])))


def test_batches_of_two_studies_are_no_pack() -> None:
    with pytest.raises(InputDamaged):
        assemble("pack", [make_batch(1), make_batch(2, study="2.25.9")])


@pytest.mark.parametrize(
    ("digest", "count", "reason"),
    [("0" * 64, 1, "input-manifest"), (None, 1, "input-manifest"), ("", 2, "input-counts")],
)
def test_a_manifest_must_be_the_one_that_the_event_tells(digest: str | None, count: int, reason: str) -> None:
    data = write_manifest(make_batch(1).manifest)
    with pytest.raises(InputDamaged) as error:
        kept_of(checked_manifest(data, sha256(data) if digest == "" else digest), "", count)
    assert error.value.reason == reason
