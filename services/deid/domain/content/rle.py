"""RLE frames of nothing but their runs (PS3.5 annex G).

A segment holds one byte of every sample, in runs as PackBits has them. So its header says how many bytes it makes, and
what stands before, between and behind the runs is no part of the picture.
"""

import struct
from collections.abc import Sequence
from itertools import pairwise

from services.deid.domain.content.overlay_bits import Mask
from services.deid.domain.content.samples import Samples
from services.deid.domain.dataset import Unreadable

_HEADER = struct.Struct("<16I")
_MOST_SEGMENTS, _NO_RUN = 15, 128


def clean_rle(frame: bytes, samples: Samples, mask: Mask | None = None) -> bytes:
    """The frame with its header, its runs and padding of zeros; itself when it has no more.

    Bits that ``mask`` says are cleared in the runs. Raises Unreadable when it makes fewer bytes than ``samples`` says.
    """
    width, size = _planes(samples)
    count, *offsets = _HEADER.unpack_from(frame)
    if count != samples.planes * width or not 0 < count <= _MOST_SEGMENTS:
        raise Unreadable
    bounds = [*offsets[:count], len(frame)]
    if bounds[0] < _HEADER.size or any(start >= stop for start, stop in pairwise(bounds)):
        raise Unreadable
    tables = [mask.plane_table(plane) if mask else None for plane in range(width)]
    segments = [_runs(frame, bounds[each], bounds[each + 1], size, tables[each % width]) for each in range(count)]
    cleaned = _joined(segments)
    return frame if cleaned == frame else cleaned


def _planes(samples: Samples) -> tuple[int, int]:
    """Bytes of a sample, each of which has a segment, and bytes of a segment; single bits are packed."""
    pixels = samples.rows * samples.columns
    if samples.allocated == 1:
        return 1, (pixels + 7) // 8
    return samples.allocated // 8, pixels


def _runs(frame: bytes, at: int, stop: int, size: int, table: bytes | None) -> bytes:
    """The runs from ``at`` that make ``size`` bytes, each of them as ``table`` has it; a last one is shortened."""
    start, runs = at, bytearray()
    while size > 0:
        if at + 1 >= stop:
            raise Unreadable
        control = frame[at]
        if control == _NO_RUN:
            runs += frame[start:at]
            at = start = at + 1
            continue
        length = control + 1 if control < _NO_RUN else 257 - control
        end = at + 1 + (length if control < _NO_RUN else 1)
        if end > stop:
            raise Unreadable
        if length > size or table is not None:
            length = min(length, size)
            runs += frame[start:at]
            runs += _run(frame[at + 1 : end], control, length, table)
            start = end
        size -= length
        at = end
    return bytes(runs + frame[start:at])


def _run(values: bytes, control: int, length: int, table: bytes | None) -> bytes:
    """One run of ``length`` bytes."""
    if table is not None:
        values = values.translate(table)
    if control < _NO_RUN:
        return bytes((length - 1,)) + values[:length]
    return bytes((257 - length if length > 1 else 0,)) + values


def _joined(segments: Sequence[bytes]) -> bytes:
    """Header and segments of even length."""
    padded = [segment + b"\0" * (len(segment) % 2) for segment in segments]
    offsets, at = [], _HEADER.size
    for segment in padded:
        offsets.append(at)
        at += len(segment)
    unused = [0] * (_MOST_SEGMENTS - len(segments))
    return _HEADER.pack(len(segments), *offsets, *unused) + b"".join(padded)
