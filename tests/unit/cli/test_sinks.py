"""Bytes that a result takes over from its original without their passing through the process."""

import errno
import mmap
import os
import random
from collections.abc import Callable
from io import BytesIO, FileIO
from pathlib import Path

import pytest

from cli.deidentify import sinks
from cli.deidentify.sinks import Sink

PAGE = mmap.ALLOCATIONGRANULARITY
CONTENT = random.Random(7).randbytes(5 * PAGE + 123)


@pytest.fixture
def original(tmp_path: Path) -> Path:
    path = tmp_path / "original"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture(params=[PAGE, len(CONTENT) + 1], ids=["reserved", "unreserved"])
def sink(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Sink:
    monkeypatch.setattr(sinks, "_RESERVED", request.param)
    return Sink(FileIO(tmp_path / "result", "w+b"))


def content(sink: Sink) -> bytes:
    sink.seek(0)
    return sink.read()


@pytest.mark.parametrize("window", [PAGE, 2 * PAGE, 100 * PAGE])
@pytest.mark.parametrize("start", [0, 1, PAGE - 1, PAGE, 2 * PAGE + 77])
@pytest.mark.parametrize("length", [0, 1, PAGE, 3 * PAGE - 50])
def test_what_is_taken_stands_between_what_is_written(
    original: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch, window: int, start: int, length: int
) -> None:
    monkeypatch.setattr(sinks, "_WINDOW", window)
    with original.open("rb") as source:
        sink.write(b"head")
        source.seek(start)
        taken = sink.take(source, length)
        rest = source.read(3)
    sink.write(b"tail")
    expected = CONTENT[start : start + length]
    assert (taken, rest) == (len(expected), CONTENT[start + taken :][:3])
    assert content(sink) == b"head" + expected + b"tail"


def test_no_more_is_taken_than_there_is(original: Path, sink: Sink) -> None:
    with original.open("rb") as source:
        source.seek(PAGE)
        assert sink.take(source, 100 * PAGE) == len(CONTENT) - PAGE
        assert source.read() == b""
        assert sink.take(source, 1) == 0
    assert content(sink) == CONTENT[PAGE:]


def test_nothing_is_taken_of_what_is_no_file(sink: Sink) -> None:
    source = BytesIO(CONTENT)
    assert sink.take(source, 10) == 0
    assert source.tell() == 0


def test_nothing_is_taken_where_files_are_not_mapped(
    original: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no such device")

    monkeypatch.setattr(mmap, "mmap", refuse)
    sink.write(b"head")
    with original.open("rb") as source:
        assert sink.take(source, 3 * PAGE) == 0
        assert source.read(4) == CONTENT[:4]
    sink.write(b"tail")
    assert content(sink) == b"headtail"


@pytest.mark.parametrize("error", [None, OSError(errno.EOPNOTSUPP, ""), OSError(errno.ENOSPC, "")])
def test_what_a_file_system_reserves_or_does_not_is_written_all_the_same(
    original: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch, error: OSError | None
) -> None:
    asked = []

    def reserve(handle: int, start: int, length: int) -> None:
        asked.append((start, length))
        if error:
            raise error

    monkeypatch.setattr(os, "posix_fallocate", reserve)
    sink.write(b"head")
    with original.open("rb") as source:
        assert sink.take(source, len(CONTENT)) == len(CONTENT)
    assert content(sink) == b"head" + CONTENT
    assert asked in ([], [(4, len(CONTENT))])


def test_an_original_that_is_cut_off_meanwhile_is_an_error_and_ends_no_process(
    original: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    write: Callable[[int, memoryview], int] = os.write

    def cut(handle: int, given: memoryview) -> int:
        os.truncate(original, PAGE)
        return write(handle, given)

    monkeypatch.setattr(os, "write", cut)
    with original.open("rb") as source, pytest.raises(OSError, match="Bad address"):
        sink.take(source, len(CONTENT))
