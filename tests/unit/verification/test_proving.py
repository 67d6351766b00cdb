"""A proof is made from bytes alone, and any byte that is wrong shows at the level where it is wrong."""

import pytest

from services.verification.domain.proving import Disproved, Proof, Proving
from tests.unit.verification.samples import STUDY_KEY, SealedPack


def prove(pack: SealedPack, parts: list[bytes] | None = None, chunk: int = 4096, key: bytes = STUDY_KEY) -> Proof:
    """Feed the parts in chunks."""
    proving = Proving(pack.told, key)
    for told, data in zip(pack.told.parts, parts or pack.parts, strict=True):
        for start in range(0, len(data), chunk):
            proving.feed(data[start : start + chunk])
        proving.end_part(told)
    return proving.finish()


def damage(pack: SealedPack, parts: list[bytes] | None = None, **how: object) -> str:
    with pytest.raises(Disproved) as error:
        prove(pack, parts, **how)  # type: ignore[arg-type]
    return error.value.damage


@pytest.mark.parametrize("chunk", [13, 4096, 10**9])
@pytest.mark.parametrize("part", [997, 10**9])
def test_what_was_sealed_is_proven_whatever_chunks_and_parts(chunk: int, part: int) -> None:
    pack = SealedPack(part=part)
    assert prove(pack, chunk=chunk) == Proof(instances=3, size=len(pack.data))


def test_a_pack_of_several_segments_is_proven() -> None:
    assert prove(SealedPack(2, pixel_length=700_000), chunk=1 << 20).instances == 2


def test_objects_without_pixels_are_proven() -> None:
    assert prove(SealedPack(pixel_length=0)).instances == 3


@pytest.mark.parametrize("position", [0, 20, 300, 700, 2000, -1])
def test_any_flipped_byte_is_damaged_ciphertext(position: int) -> None:
    """In the magic, the header, the nonces, the first segment or the last tag."""
    pack = SealedPack()
    data = bytearray(pack.data)
    data[position] ^= 1
    assert damage(pack, [bytes(data)]) == "ciphertext"


@pytest.mark.parametrize("change", ["cut", "longer", "empty"])
def test_a_part_of_another_length_is_damaged_ciphertext(change: str) -> None:
    pack = SealedPack()
    data = {"cut": pack.data[:-1], "longer": pack.data + b"?", "empty": b""}[change]
    assert damage(pack, [data]) == "ciphertext"


def test_exchanged_parts_are_damaged_ciphertext() -> None:
    pack = SealedPack(part=1000)
    parts = [pack.parts[1], pack.parts[0], *pack.parts[2:]]
    assert damage(pack, parts) == "ciphertext"


def test_a_wrong_key_is_a_wrong_seal() -> None:
    """The ciphertext is as it was sealed, and does not open."""
    assert damage(SealedPack(), key=bytes(32)) == "seal"


def test_the_seal_of_another_pack_is_a_wrong_seal() -> None:
    pack = SealedPack()
    pack.told = pack.told.model_copy(update={"sealed_id": "another"})
    assert damage(pack) == "seal"


@pytest.mark.parametrize("change", [{"manifest_sha256": "0" * 64}, {"pack_id": "another"}])
def test_another_manifest_than_the_seal_tells_is_found(change: dict[str, str]) -> None:
    pack = SealedPack()
    pack.told = pack.told.model_copy(update=change)
    assert damage(pack) == "manifest"


@pytest.mark.parametrize("digest", ["dataset_sha256", "header_sha256", "pixel_blake3"])
def test_an_instance_that_is_not_as_received_is_found(digest: str) -> None:
    """Each of the three digests counts by itself."""
    assert damage(SealedPack(claims={digest: "0" * 64})) == "instances"


def test_instances_are_counted() -> None:
    pack = SealedPack()
    pack.told = pack.told.model_copy(update={"instances": 4})
    assert damage(pack) == "instances"


def test_an_instance_beyond_the_archive_is_found() -> None:
    assert damage(SealedPack(claims={"offset": 10**6})) == "instances"
