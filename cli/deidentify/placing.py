"""Results on disk: they have no name before they are known to be clean, and are whole when they have one."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom, FileIO
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, BinaryIO, cast

from cli.deidentify.sinks import Sink

#: Where a file must have a name, results up to this size stay in memory until they are finished, bytes.
IN_MEMORY = 8 * 1024 * 1024
_CHUNK = 1024 * 1024


class Taken(Exception):
    """Another file has the name already."""


@contextmanager
def unnamed(folder: Path) -> Iterator[BinaryIO]:
    """A file for a result, which is gone when nobody gave it a name.

    It lies in ``folder`` where the system has files without a name (O_TMPFILE of open(2)), else in memory.
    """
    handle = _without_name(folder)
    with SpooledTemporaryFile(IN_MEMORY) if handle is None else Sink(FileIO(handle, "w+b")) as file:
        yield cast(BinaryIO, file)


def _without_name(folder: Path) -> int | None:
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o666)
    except (AttributeError, OSError):  # another system than Linux, or a file system that has none
        return None


def put(content: IO[bytes], path: Path) -> None:
    """Give ``content`` the name ``path``, whole or not at all; Taken when something else has it."""
    try:
        if _named(content, path):
            return
        if path.exists():
            raise FileExistsError
        path.parent.mkdir(parents=True, exist_ok=True)
        if not _named(content, path):
            _copy(content, path)
    except FileExistsError:
        _compare(content, path)


def _named(content: IO[bytes], path: Path) -> bool:
    """Name a file that has no name; False when it has to be copied."""
    if not isinstance(content, BufferedRandom):
        return False
    content.flush()
    handle = content.fileno()
    try:
        os.link(
            f"/proc/self/fd/{handle}", path, src_dir_fd=handle
        )  # with a folder given, what a link leads to is meant
    except FileExistsError:
        raise
    except OSError:
        return False
    return True


def _copy(content: IO[bytes], path: Path) -> None:
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            content.seek(0)
            while chunk := content.read(_CHUNK):
                file.write(chunk)
        _link(part, path)
    finally:
        part.unlink(missing_ok=True)


def _link(part: Path, path: Path) -> None:
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if path.exists():
            raise FileExistsError from None
        part.rename(path)


def _compare(content: IO[bytes], path: Path) -> None:
    content.seek(0)
    with path.open("rb") as other:
        while True:
            mine, theirs = content.read(_CHUNK), other.read(_CHUNK)
            if mine != theirs:
                raise Taken
            if not mine:
                return
