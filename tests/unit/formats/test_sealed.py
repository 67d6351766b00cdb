"""The sealed pack: Tink reads ours, we read Tink's, and nothing that was touched passes."""

import os
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events.common import Sections
from contracts.formats import sealed
from contracts.formats.errors import CommitmentMismatch, KeyRefused, SealBroken
from contracts.formats.ranges import WINDOW, decrypt_range
from contracts.formats.sealed import SealedHeader, open_sealed, prepare, read_envelope, seal
from contracts.formats.streaming import PREFIX, SEGMENT, SegmentCipher
from tests.unit.formats.oracle import tink_decrypt, tink_encrypt

STUDY_KEY, OBJECT_KEY = bytes(range(32)), bytes(range(100, 132))
FIRST, FULL = SEGMENT - PREFIX - 16, SEGMENT - 16
BORDERS = [0, 1, FIRST - 1, FIRST, FIRST + 1, FIRST + FULL - 1, FIRST + FULL, FIRST + FULL + 1, 3 * SEGMENT]


def header(size: int, object_key: bytes = OBJECT_KEY) -> SealedHeader:
    """A header for ``size`` bytes of plaintext."""
    return prepare(
        sealed_id="5ea1" * 8,
        form="identified",
        key_domain="hospital",
        study_key_id="57d7" * 8,
        study_key=STUDY_KEY,
        object_key=object_key,
        sections=Sections(manifest=size // 3, headers=size // 5, archive=size - size // 3 - size // 5),
    )


def sealed_pack(plaintext: bytes, chunk: int = 100_000) -> bytes:
    """``plaintext`` sealed, given in chunks."""
    chunks = (plaintext[start : start + chunk] for start in range(0, len(plaintext), chunk))
    return b"".join(seal(chunks, header(len(plaintext)), OBJECT_KEY))


def opened(data: bytes, chunk: int = 100_000) -> bytes:
    """The plaintext of a sealed pack, given in chunks."""
    return b"".join(open_sealed((data[i : i + chunk] for i in range(0, len(data), chunk)), lambda _: STUDY_KEY))


@pytest.mark.parametrize("size", BORDERS)
def test_tink_reads_what_we_seal(size: int) -> None:
    """The bytes behind the header are a Tink ciphertext whose associated data is the header."""
    plaintext = os.urandom(size)
    data = sealed_pack(plaintext)
    envelope = read_envelope(data)
    assert tink_decrypt(OBJECT_KEY, envelope.raw, data[envelope.ciphertext_offset :]) == plaintext
    assert envelope.sealed_size == len(data)


@pytest.mark.parametrize("size", BORDERS)
def test_we_open_what_tink_encrypts(size: int) -> None:
    """A pack that somebody else sealed with Tink behind our header opens."""
    plaintext = os.urandom(size)
    raw = header(size).to_bytes()
    data = sealed.MAGIC + len(raw).to_bytes(4, "big") + raw + tink_encrypt(OBJECT_KEY, raw, plaintext)
    assert opened(data) == plaintext


@pytest.mark.parametrize("chunk", [1000, SEGMENT, FULL, 10 * SEGMENT])
def test_chunks_do_not_matter(chunk: int) -> None:
    """Neither when sealing nor when opening."""
    plaintext = os.urandom(5 * SEGMENT + 77)
    assert opened(sealed_pack(plaintext, chunk), chunk) == plaintext


@given(st.data())
def test_any_range_is_the_slice_of_the_plaintext(data: st.DataObject) -> None:
    """However it lies to the segments, and only the segments that hold it are read."""
    plaintext, pack = RANGED
    start = data.draw(st.integers(0, len(plaintext)))
    length = data.draw(st.integers(0, len(plaintext) - start))
    envelope, reads = read_envelope(pack), []

    def read(offset: int, size: int) -> bytes:
        reads.append(size)
        return pack[offset : offset + size]

    found = b"".join(decrypt_range(read, envelope, envelope.unlock(STUDY_KEY), start, length))
    assert found == plaintext[start : start + length]
    assert sum(reads) <= length + 2 * SEGMENT
    assert max(reads, default=0) <= WINDOW * SEGMENT


_SOME = os.urandom(20 * SEGMENT + 5)
RANGED = (_SOME, sealed_pack(_SOME))


def test_a_range_outside_the_plaintext_is_refused() -> None:
    """Asking for what is not there is the caller's mistake, not a broken seal."""
    envelope = read_envelope(RANGED[1])
    with pytest.raises(ValueError, match="outside"):
        list(decrypt_range(lambda *_: b"", envelope, envelope.unlock(STUDY_KEY), len(_SOME), 1))


@given(st.integers(min_value=0), st.integers(0, 7))
def test_every_flipped_bit_is_found(where: int, bit: int) -> None:
    """Magic, length, header, prefix, ciphertext, tag: nothing is unprotected."""
    pack = bytearray(SMALL)
    pack[where % len(pack)] ^= 1 << bit
    with pytest.raises((SealBroken, KeyRefused)):
        opened(bytes(pack))


SMALL = sealed_pack(os.urandom(2000))


@pytest.mark.parametrize("kept", [0, 10, 500, 900, SEGMENT, 3 * SEGMENT - 1])
def test_a_cut_pack_is_found(kept: int) -> None:
    """Wherever it was cut, at the border of a segment as well."""
    pack = sealed_pack(os.urandom(4 * SEGMENT))
    start = read_envelope(pack).ciphertext_offset
    for cut in (kept, start + kept):
        with pytest.raises(SealBroken):
            opened(pack[:cut])


@pytest.mark.parametrize("more", [b"\x00", bytes(SEGMENT)])
def test_appended_bytes_are_found(more: bytes) -> None:
    """A pack ends where its header says."""
    with pytest.raises(SealBroken, match="sealed-overlong"):
        opened(sealed_pack(os.urandom(3 * SEGMENT)) + more)


def test_reordered_repeated_and_dropped_segments_are_found() -> None:
    """Every segment opens only in its own place."""
    pack = sealed_pack(os.urandom(5 * SEGMENT))
    start = read_envelope(pack).ciphertext_offset
    pieces = [pack[: start + SEGMENT]]
    pieces += [pack[at : at + SEGMENT] for at in range(start + SEGMENT, len(pack), SEGMENT)]
    for order in ([0, 2, 1, 3, 4, 5], [0, 1, 1, 3, 4, 5], [0, 1, 3, 4, 5], [0, 1, 2, 3, 5]):
        with pytest.raises(SealBroken):
            opened(b"".join(pieces[number] for number in order))


def test_a_segment_cannot_come_from_another_pack() -> None:
    """Two packs under one object key still have streams of their own."""
    plaintext = os.urandom(3 * SEGMENT)
    one, other = sealed_pack(plaintext), sealed_pack(plaintext)
    at = read_envelope(one).ciphertext_offset + SEGMENT
    with pytest.raises(SealBroken, match="sealed-segment"):
        opened(one[:at] + other[at : at + SEGMENT] + one[at + SEGMENT :])


@pytest.mark.parametrize("old", [b'"hospital"', b'"identified"', b"5ea1", b"57d7"])
def test_a_changed_header_is_found(old: bytes) -> None:
    """Domain, form and ids are associated data: a pack cannot pass for another."""
    new = {b'"hospital"': b'"hospitol"', b'"identified"': b'"deidentified"'}.get(old, b"0000")
    raw = read_envelope(SMALL).raw.replace(old, new, 1)
    end = read_envelope(SMALL).ciphertext_offset
    with pytest.raises(SealBroken, match="sealed-segment"):
        opened(sealed.MAGIC + len(raw).to_bytes(4, "big") + raw + SMALL[end:])


def test_the_header_of_another_pack_does_not_fit() -> None:
    """Same study key, same sizes, other object key: the ciphertext does not open."""
    other = b"".join(seal([bytes(2000)], header(2000, os.urandom(32)), OBJECT_KEY))
    end = read_envelope(SMALL).ciphertext_offset
    with pytest.raises(SealBroken):
        opened(other[: read_envelope(other).ciphertext_offset] + SMALL[end:])


def test_another_study_key_is_refused() -> None:
    """AES-KWP finds it before anything is decrypted."""
    with pytest.raises(KeyRefused, match="study-key-refused"):
        read_envelope(SMALL).unlock(bytes(32))


def test_an_object_key_that_was_not_committed_to_is_refused() -> None:
    """A validly wrapped but wrong object key is found by the commitment, not by luck."""
    wrapped = header(2000, os.urandom(32)).wrapped_object_key
    forged = header(2000).model_copy(update={"wrapped_object_key": wrapped})
    with pytest.raises(CommitmentMismatch):
        sealed.recover_object_key(forged, STUDY_KEY)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "sealed-magic"),
        (b"PK\x03\x04" + bytes(100), "sealed-magic"),
        (sealed.MAGIC, "sealed-header"),
        (sealed.MAGIC + b"\xff\xff\xff\xff" + bytes(9000), "sealed-header"),
        (sealed.MAGIC + b"\x00\x00\x00\x02{}" + bytes(100), "sealed-header"),
        (sealed.MAGIC + b"\x00\x00\x00\x04[[[[" + bytes(100), "sealed-header"),
    ],
)
def test_what_is_no_sealed_pack_is_refused_with_a_code(data: bytes, reason: str) -> None:
    """However it begins."""
    with pytest.raises(SealBroken) as caught:
        read_envelope(data)
    assert caught.value.reason == reason


def test_a_header_with_a_monstrous_length_is_refused() -> None:
    """Arithmetic on hostile lengths ends in the one error."""
    raw = header(100).to_bytes().replace(b'"archive":47', b'"archive":' + b"9" * 30)
    with pytest.raises(SealBroken, match="sealed-header"):
        read_envelope(sealed.MAGIC + len(raw).to_bytes(4, "big") + raw + bytes([40]) + bytes(39))


@pytest.mark.parametrize(("given", "reason"), [(99, "plaintext-too-short"), (101, "plaintext-too-long")])
def test_a_plaintext_of_another_length_than_planned_is_not_sealed(given: int, reason: str) -> None:
    """The header's sections would lie."""
    with pytest.raises(SealBroken, match=reason):
        list(seal([bytes(given)], header(100), OBJECT_KEY))


def test_two_seals_of_one_pack_have_nothing_in_common() -> None:
    """Salt and nonce prefix are fresh each time, so that even a reused key reuses no nonce."""
    one, other = sealed_pack(bytes(500)), sealed_pack(bytes(500))
    end = read_envelope(one).ciphertext_offset
    assert one[end + 1 : end + 40] != other[end + 1 : end + 40]
    assert one[end + 40 :] != other[end + 40 :]


def test_memory_is_a_few_segments_whatever_the_size() -> None:
    """64 MiB pass through sealing and opening in less than 3 MiB."""
    block = memoryview(bytes(1 << 20))
    chunks = (block for _ in range(64))
    tracemalloc.start()
    try:
        for _ in open_sealed(seal(chunks, header(64 << 20), OBJECT_KEY), lambda _: STUDY_KEY):
            pass
        assert tracemalloc.get_traced_memory()[1] < 3 << 20
    finally:
        tracemalloc.stop()


def test_a_cipher_wants_a_key_of_256_bits() -> None:
    """A shorter one would silently weaken every pack."""
    with pytest.raises(ValueError, match="32 bytes"):
        SegmentCipher(bytes(16), b"", bytes([40]) + bytes(39), 0)
