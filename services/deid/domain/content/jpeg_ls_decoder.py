"""The samples of a JPEG-LS scan, one line after the other (ITU-T T.87 annex A).

A sample's code depends on the samples before it. So all of them are decoded to see where the data end, and none is used
for anything else.
"""

from array import array
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from services.deid.domain.dataset import Unreadable

_PIECE = 1 << 20
#: Orders of run lengths (A.2.1).
_RUNS = (0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#: Contexts of gradients, and two of what ends a run.
_CONTEXTS, _REGULAR = 367, 365


class Parameters(NamedTuple):
    """What the coding procedures need of the frame, the presets and the scan (A.2.1, Table A.2)."""

    greatest: int
    near: int
    thresholds: tuple[int, int, int]
    reset: int

    @property
    def range(self) -> int:
        """How many differences there are."""
        return (self.greatest + 2 * self.near) // (2 * self.near + 1) + 1


@lru_cache(maxsize=4)
def _levels(found: Parameters) -> list[int]:
    """The level of each gradient (A.3.3), from the least to the greatest, which are last: they count from the end."""
    first, second, third = found.thresholds
    sizes = [
        0 if size <= found.near else 1 if size < first else 2 if size < second else 3 if size < third else 4
        for size in range(found.greatest + 1)
    ]
    return sizes + [-size for size in sizes[:0:-1]]


class Bits:
    """The bits of a scan without those that are stuffed behind a byte of ones (A.1)."""

    def __init__(self, data: bytes) -> None:
        stored = np.frombuffer(data, np.uint8)
        stuffed = np.concatenate([[False], stored[:-1] == 0xFF]) if len(stored) else np.zeros(0, np.bool_)
        if (stored[stuffed] > 0x7F).any():
            raise Unreadable
        #: Bits before the end of each byte.
        self._ends = np.cumsum(8 - stuffed.astype(np.int64))
        plain = data
        if stuffed.any():
            bits = np.unpackbits(stored).reshape(-1, 8)
            kept = np.ones_like(bits, np.bool_)
            kept[stuffed, 0] = False
            plain = np.packbits(bits[kept]).tobytes()
        self.length = int(self._ends[-1]) if len(stored) else 0
        self.windows = _windows(plain)

    def bytes_for(self, count: int) -> int:
        """How many bytes of the data ``count`` bits take."""
        return int(np.searchsorted(self._ends, count)) + 1 if count else 0


def _windows(plain: bytes) -> "array[int]":
    """The 32 bits from each byte on; zeros stand behind the last."""
    found = array("I")
    for start in range(0, len(plain), _PIECE):
        length = min(_PIECE, len(plain) - start)
        wide = np.frombuffer(plain[start : start + length + 3].ljust(length + 3, b"\0"), np.uint8).astype("I")
        found.frombytes((wide[:-3] << 24 | wide[1:-2] << 16 | wide[2:-1] << 8 | wide[3:]).tobytes())
    return found


class Decoder:
    """Decodes the lines of one scan, or of what is between two restarts; ``at`` is the bit behind the last sample.

    Lines have a sample more on either side: what stands there for the edges (A.2.1). Raises IndexError when the data
    are cut short.
    """

    def __init__(self, bits: Bits, found: Parameters) -> None:
        self.at = 0
        self._windows, self._found = bits.windows, found
        self._levels = _levels(found)
        self._step = 2 * found.near + 1
        self._whole = (found.range - 1).bit_length()
        bits_of_sample = max(2, found.greatest.bit_length())
        self._limit = 2 * (bits_of_sample + max(8, bits_of_sample))
        self._sums = [max(2, (found.range + 32) // 64)] * _CONTEXTS
        self._counts = [1] * _CONTEXTS
        self._biases, self._corrections = [0] * _CONTEXTS, [0] * _CONTEXTS

    def line(self, before: list[int], run: int) -> tuple[list[int], int]:
        """The next line of one component behind the line ``before``, and its place among run lengths."""
        levels, sample, width = self._levels, self._sample, len(before) - 2
        line = [before[1]]
        left, above, corner, place = before[1], before[1], before[0], 1
        while place <= width:
            right = before[place + 1]
            context = 81 * levels[right - above] + 9 * levels[above - corner] + levels[corner - left]
            if context:
                left = sample(context, left, above, corner)
                line.append(left)
                place += 1
                corner, above = above, right
                continue
            length, run, is_ended = self._run(width - place + 1, run)
            line += [left] * length
            place += length
            if not is_ended:
                above = before[place]
                left = self._interruption(left, above, abs(left - above) <= self._found.near, run)
                line.append(left)
                place += 1
                run = max(0, run - 1)
            if place <= width:
                corner, above = before[place - 1], before[place]
        line.append(line[-1])
        return line, run

    def lines(self, before: list[list[int]], run: int) -> tuple[list[list[int]], int]:
        """The next line of all components, which are interleaved sample by sample (B.3)."""
        levels, width = self._levels, len(before[0]) - 2
        lines = [[each[1]] for each in before]
        while (place := len(lines[0])) <= width:
            around = [(line[-1], each[place], each[place - 1]) for line, each in zip(lines, before, strict=True)]
            contexts = [
                81 * levels[each[place + 1] - above] + 9 * levels[above - corner] + levels[corner - left]
                for each, (left, above, corner) in zip(before, around, strict=True)
            ]
            if any(contexts):
                for line, context, neighbours in zip(lines, contexts, around, strict=True):
                    line.append(self._sample(context, *neighbours))
                continue
            length, run, is_ended = self._run(width - place + 1, run)
            for line in lines:
                line += [line[-1]] * length
            if not is_ended:
                for line, each in zip(lines, before, strict=True):
                    line.append(self._interruption(line[-1], each[place + length], False, run))
                run = max(0, run - 1)
        for line in lines:
            line.append(line[-1])
        return lines, run

    def _sample(self, context: int, left: int, above: int, corner: int) -> int:
        """A sample in regular mode (A.4 and A.5)."""
        sign = 1
        if context < 0:
            context, sign = -context, -1
        count, total = self._counts[context], self._sums[context]
        expected = _median(left, above, left + above - corner) + sign * self._corrections[context]
        expected = min(max(expected, 0), self._found.greatest)
        order = 0
        while count << order < total:
            order += 1
        told = self._golomb(order, self._limit)
        if not self._found.near and not order and 2 * self._biases[context] <= -count:
            error = told >> 1 if told & 1 else -(told >> 1) - 1
        else:
            error = -(told + 1 >> 1) if told & 1 else told >> 1
        self._learn(context, error)
        return self._within(expected + error * self._step * sign)

    def _learn(self, context: int, error: int) -> None:
        """What a context knows behind a sample (A.6)."""
        count, total = self._counts[context], self._sums[context] + abs(error)
        bias = self._biases[context] + error * self._step
        if count == self._found.reset:
            total, count, bias = total >> 1, count >> 1, bias >> 1
        count += 1
        if bias <= -count:
            bias = max(bias + count, 1 - count)
            self._corrections[context] = max(self._corrections[context] - 1, -128)
        elif bias > 0:
            bias = min(bias - count, 0)
            self._corrections[context] = min(self._corrections[context] + 1, 127)
        self._counts[context], self._sums[context], self._biases[context] = count, total, bias

    def _within(self, sample: int) -> int:
        """A sample within its range (A.4.5)."""
        greatest, near, _, _ = self._found
        if sample < -near:
            sample += self._found.range * self._step
        elif sample > greatest + near:
            sample -= self._found.range * self._step
        return 0 if sample < 0 else greatest if sample > greatest else sample

    def _golomb(self, order: int, limit: int) -> int:
        """A number in the code of Golomb, of limited length (A.5.3)."""
        longest = limit - self._whole - 1
        window = self._windows[self.at >> 3] << (self.at & 7) & 0xFFFFFFFF
        zeros = 32 - window.bit_length()
        if zeros + order < 25 and zeros < longest:
            self.at += zeros + 1 + order
            return zeros << order | window >> 31 - zeros - order & (1 << order) - 1
        zeros = 0
        while not self._number(1):
            zeros += 1
            if zeros > longest:
                raise Unreadable
        if zeros == longest:
            return self._number(self._whole) + 1
        return zeros << order | self._number(order)

    def _number(self, width: int) -> int:
        """The next bits, up to 25 of them."""
        window = self._windows[self.at >> 3] << (self.at & 7) & 0xFFFFFFFF
        self.at += width
        return window >> 32 - width

    def _run(self, left: int, run: int) -> tuple[int, int, bool]:
        """How many samples are as the one before them, and whether the line ends with them (A.7.1)."""
        length = 0
        while self._number(1):
            most = 1 << _RUNS[run]
            if most <= left - length:
                run = min(run + 1, 31)
            length += min(most, left - length)
            if length == left:
                return length, run, True
        length += self._number(_RUNS[run])
        if length >= left:
            raise Unreadable
        return length, run, False

    def _interruption(self, left: int, above: int, is_like: bool, run: int) -> int:
        """The sample that ends a run (A.7.2); ``is_like``: left and above are alike."""
        context = _REGULAR + is_like
        count, total, negatives = self._counts[context], self._sums[context], self._biases[context]
        order = 0
        while count << order < total + (count >> 1 if is_like else 0):
            order += 1
        told = self._golomb(order, self._limit - _RUNS[run] - 1)
        size = (told + is_like + 1) >> 1
        is_odd = bool((told + is_like) & 1)
        is_negative = (order != 0 or 2 * negatives >= count) == is_odd
        error = -size if is_negative else size
        negatives += error < 0
        total += (told + 1 - is_like) >> 1
        if count == self._found.reset:
            total, count, negatives = total >> 1, count >> 1, negatives >> 1
        self._counts[context], self._sums[context], self._biases[context] = count + 1, total, negatives
        sign = 1 if is_like or left <= above else -1
        return self._within((left if is_like else above) + error * self._step * sign)


def _median(left: int, above: int, plane: int) -> int:
    """The one of the three between the others (A.4.1)."""
    low, high = (left, above) if left < above else (above, left)
    return min(max(plane, low), high)
