"""A file that streams by is the one of the manifest, or it is not."""

import hashlib
from collections.abc import Iterable
from typing import Any

import pytest

from contracts.formats import digests
from contracts.formats.digests import FileDigests
from tests.unit.formats.files import describe

CONTENT = b"DICM" + bytes(range(200))
INSTANCE = describe(CONTENT)


def chunks(content: bytes, size: int) -> list[bytes]:
    """The content in chunks."""
    return [content[start : start + size] for start in range(0, len(content), size)]


def match(pieces: Iterable[bytes | bytearray | memoryview], start: int = 0) -> bool:
    """Whether a file that comes in these pieces is the one of the manifest."""
    found = FileDigests(INSTANCE, start)
    for piece in pieces:
        found.update(piece)
    return found.match()


@pytest.mark.parametrize("size", [1, 3, 4, 5, 1000])
def test_a_file_is_recognised_in_chunks_of_any_size(size: int) -> None:
    """Also where one has bytes of head and data set, and of any kind of bytes."""
    assert match(chunks(CONTENT, size))
    assert match(map(bytearray, chunks(CONTENT, size)))
    assert match([b"", *map(memoryview, chunks(CONTENT, size)), b""])


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("position", [0, 3, 4, len(CONTENT) - 1])
def test_a_flipped_bit_is_found_wherever_it_is(position: int, size: int) -> None:
    damaged = bytearray(CONTENT)
    damaged[position] ^= 1
    assert not match(chunks(bytes(damaged), size))


@pytest.mark.parametrize("content", [b"", CONTENT[:3], CONTENT[:4], CONTENT[:-1], CONTENT + b"\0", CONTENT[1:]])
def test_a_file_of_another_length_is_found(content: bytes) -> None:
    assert not match([content])


def test_from_the_data_set_on_the_data_set_decides() -> None:
    assert match([CONTENT[4:]], start=4)
    assert not match([CONTENT[4:-1]], start=4)
    assert not match([CONTENT], start=4)


def test_a_part_that_no_digest_covers_is_refused() -> None:
    with pytest.raises(ValueError, match="data set on"):
        FileDigests(INSTANCE, 2)


def test_each_byte_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is what the two digests are for."""
    hashed: list[int] = []

    class Counting:
        def __init__(self) -> None:
            self._state = hashlib.sha256()

        def update(self, data: Any) -> None:
            hashed.append(len(data))
            self._state.update(data)

        def hexdigest(self) -> str:
            return self._state.hexdigest()

    monkeypatch.setattr(digests, "hashlib", type("Module", (), {"sha256": Counting}))
    assert match(chunks(CONTENT, 3))
    assert sum(hashed) == len(CONTENT)
