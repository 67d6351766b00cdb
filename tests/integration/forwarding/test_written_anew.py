"""The process that writes data sets in another encoding: as dcmtk does, however large they are."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.forwarding.adapters.decoders import Bounds, CannotConvert, Decoder
from services.forwarding.domain.syntaxes import RE_ENCODING_FAILED
from tests.integration.forwarding.test_decompression import bundled, chunks, convert
from tests.integration.forwarding.test_encodings import PADDING, held, native
from tests.support.elements import EXPLICIT, IMPLICIT, read


@pytest.mark.dcmtk
@pytest.mark.parametrize(
    ("name", "option", "target"),
    [
        ("CT_small.dcm", "+ti", IMPLICIT),
        ("test-SR.dcm", "+ti", IMPLICIT),
        ("waveform_ecg.dcm", "+ti", IMPLICIT),
        ("MR_small_expb.dcm", "+ti", IMPLICIT),
        ("MR_small_expb.dcm", "+te", EXPLICIT),
        ("SC_rgb_small_odd_big_endian.dcm", "+te", EXPLICIT),
        ("MR_small_implicit.dcm", "+te", EXPLICIT),
        ("rtplan.dcm", "+te", EXPLICIT),
    ],
)
async def test_it_writes_what_dcmtk_would(name: str, option: str, target: str, tmp_path: Path) -> None:
    """Another one that knows how to: of the same VR, with the same values."""
    data, syntax = native(bundled(name))
    found = await collect(syntax, target, data)
    oracle, _ = native(convert(["dcmconv", option], bundled(name), tmp_path))
    arrived, wanted = held(found, target), held(oracle, target)
    assert {at for at in arrived | wanted if arrived.get(at) != wanted.get(at)} <= {PADDING}
    if target == EXPLICIT:
        assert vrs(found) == vrs(oracle)


def vrs(data: bytes) -> dict[int, str]:
    """The VR of each element of Explicit VR, but of those that are private: dcmtk knows some of them."""
    told = {one.tag: one.VR for one in read(data, EXPLICIT).values()}
    return {tag: vr for tag, vr in told.items() if not tag.is_private and tag != PADDING[0]}


async def collect(syntax: str, target: str, data: bytes) -> bytes:
    """All that comes out of a process of its own."""
    decoder = Decoder(Bounds(memory=1024**3, seconds=60))
    try:
        return b"".join([piece async for piece in decoder.convert(syntax, target, len(data), chunks(data))])
    finally:
        await decoder.close()


async def test_pixels_larger_than_its_memory_pass_through_the_process() -> None:
    """More than it may map; what it gives comes while it is fed. What is too short is not taken for whole."""
    piece = bytes(range(256)) * 4096
    head = b"\x28\0\0\1US\2\0\x10\0" + b"\xe0\x7f\x10\0OW\0\0" + (400 * len(piece)).to_bytes(4, "little")
    fed = given = 0

    async def pixels(pieces: int) -> AsyncIterator[bytes]:
        nonlocal fed
        yield head
        for _ in range(pieces):
            fed += len(piece)
            yield piece

    decoder = Decoder(Bounds(memory=300 * 1024**2, seconds=60))
    furthest = 0
    async for chunk in decoder.convert(EXPLICIT, IMPLICIT, len(head) + 400 * len(piece), pixels(400)):
        given += len(chunk)
        furthest = max(furthest, fed - given)
    assert given == len(head) - 4 + 400 * len(piece)
    assert furthest < 64 * 1024**2
    with pytest.raises(CannotConvert, match=RE_ENCODING_FAILED):
        async for _ in decoder.convert(EXPLICIT, IMPLICIT, len(head) + 9 * len(piece), pixels(9)):
            pass
    await decoder.close()


async def test_what_breaks_off_while_it_is_written_anew_says_so() -> None:
    """Its error comes through although pieces were given, and the next one finds a process that knows nothing of it."""
    data = b"\xe0\x7f\x10\0OW\0\0" + (8 * 1024**2).to_bytes(4, "little") + bytes(8 * 1024**2)
    decoder, given = Decoder(Bounds(memory=1024**3, seconds=60)), 0

    async def broken() -> AsyncIterator[bytes]:
        yield data[: 6 * 1024**2]
        raise LookupError

    with pytest.raises(LookupError):
        async for chunk in decoder.convert(EXPLICIT, IMPLICIT, len(data), broken()):
            given += len(chunk)
    assert 0 < given < 6 * 1024**2
    found = [piece async for piece in decoder.convert(EXPLICIT, IMPLICIT, len(data), chunks(data))]
    assert b"".join(found) == data[:4] + data[8:]
    await decoder.close()


async def test_sequences_without_a_bottom_fail_alone() -> None:
    """They cost a process, and the next instance finds another one."""
    deep = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 100_000
    decoder = Decoder(Bounds(memory=1024**3, seconds=60))
    with pytest.raises(CannotConvert, match=RE_ENCODING_FAILED):
        async for _ in decoder.convert(EXPLICIT, IMPLICIT, len(deep), chunks(deep)):
            pass
    sound = b"\x10\0\x20\0LO\2\0P1"
    found = [piece async for piece in decoder.convert(EXPLICIT, IMPLICIT, len(sound), chunks(sound))]
    assert b"".join(found) == b"\x10\0\x20\0\2\0\0\0P1"
    await decoder.close()
