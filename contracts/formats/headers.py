"""headers.jsonl: the header of each instance as DICOM JSON, one line each (docs/formats.md section 3).

A header that cannot be rendered, or is too long, is null with a reason: it never makes an instance unstorable.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from contracts.formats.errors import ManifestBroken
from contracts.formats.lines import LINE_LIMIT, split_lines

#: Reasons for a null header (docs/formats.md section 7); renderers may add codes of their own there.
TOO_LARGE = "header-too-large"
UNREADABLE = "header-unreadable"

_PREFIX = re.compile(rb'\{"entry":"[0-9]{6}\.dcm",')
_REASON = re.compile(r"[a-z][a-z0-9-]{0,63}")


@dataclass(frozen=True)
class Header:
    """The header of one entry: DICOM JSON (PS3.18 annex F) without bulk data, or None and the reason."""

    entry: str
    header: dict[str, Any] | None
    reason: str | None = None


def _dump(value: dict[str, Any]) -> bytes:
    """A number that JSON does not know is told as text (PS3.18 section F.2.3), what UTF-8 does not know as ``?``."""
    try:
        return to_json(value, inf_nan_mode="strings") + b"\n"
    except PydanticSerializationError:
        return (
            json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
            + b"\n"
        )


def opaque_line(entry: str, reason: str) -> bytes:
    """The line of an entry whose header is not rendered; ``reason`` is a code, ValueError for anything else."""
    if not _REASON.fullmatch(reason):
        raise ValueError("a reason is a code of lower-case letters, digits and hyphens")
    return _dump({"entry": entry, "header": None, "reason": reason})


def header_line(entry: str, header: dict[str, Any]) -> bytes:
    """The line of an entry with its line feed, at most LINE_LIMIT bytes; what makes no such line is null."""
    try:
        line = _dump({"entry": entry, "header": header})
    except (ValueError, TypeError, RecursionError):
        return opaque_line(entry, UNREADABLE)
    return line if len(line) <= LINE_LIMIT else opaque_line(entry, TOO_LARGE)


def parse_line(line: bytes) -> Header:
    """The header of one line; ManifestBroken when it is none."""
    try:
        value = json.loads(line)
        return Header(entry=value["entry"], header=value["header"], reason=value.get("reason"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ManifestBroken("header-line") from error


def read_headers(chunks: Iterable[bytes]) -> Iterator[Header]:
    """The headers in order, from chunks of bytes or a binary file, one in memory at a time."""
    return (parse_line(line) for line in split_lines(chunks))


def kept_lines(chunks: Iterable[bytes], left_out: Collection[int]) -> Iterator[bytes]:
    """The headers of a batch without the lines of the entries, counted from 1, that are left out."""
    if not left_out:
        return iter(chunks)
    lines = enumerate(split_lines(chunks), start=1)
    return (line + b"\n" for number, line in lines if number not in left_out)


def renumber(sources: Iterable[Iterable[bytes]]) -> Iterator[bytes]:
    """The headers of a pack from those of its batches, each given as chunks: same lines, entries numbered anew.

    Entry names have one length, so the result is as long as its sources together. Nothing is parsed.
    """
    lines = (line for source in sources for line in split_lines(source))
    for number, line in enumerate(lines, start=1):
        found = _PREFIX.match(line)
        if found is None:
            raise ManifestBroken("header-line")
        yield b'{"entry":"%06d.dcm",' % number + line[found.end() :] + b"\n"
