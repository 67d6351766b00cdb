"""Boxes of pixels: found, widened, joined, turned."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


class Box(NamedTuple):
    """Columns ``left`` to ``right`` and rows ``top`` to ``bottom``, counted from 0, the last ones not in it."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """In columns."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """In rows."""
        return self.bottom - self.top

    @property
    def area(self) -> int:
        """In pixels, 0 when nothing is in it."""
        return max(0, self.width) * max(0, self.height)

    def widened(self, by: int, rows: int, columns: int) -> "Box":
        """With a margin of ``by`` pixels, as far as the picture goes."""
        return Box(
            max(0, self.left - by), max(0, self.top - by), min(columns, self.right + by), min(rows, self.bottom + by)
        )

    def meets(self, other: "Box") -> bool:
        """True when the two have a pixel in common."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def holds(self, other: "Box") -> bool:
        """True when all of ``other`` is in it."""
        return (
            self.left <= other.left
            and self.top <= other.top
            and self.right >= other.right
            and self.bottom >= other.bottom
        )

    def joined(self, other: "Box") -> "Box":
        """The least box that holds both."""
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )


Boxes = tuple[Box, ...]


def without_repeats(boxes: Iterable[Box]) -> Boxes:
    """The boxes that no other holds, in a fixed order."""
    kept: list[Box] = []
    for box in sorted(set(boxes), key=lambda each: (-each.area, each)):
        if not any(other.holds(box) for other in kept):
            kept.append(box)
    return tuple(sorted(kept))


class Component(NamedTuple):
    """Pixels that touch each other: the box around them, and how many they are."""

    box: Box
    pixels: int


def components(mask: Mask) -> tuple[Component, ...]:
    """The eight-connected components of ``mask`` (rows, columns), by runs of rows joined to those of the row above."""
    rows, starts, ends = _runs(mask)
    parents = list(range(len(rows)))
    for above, below in _touching(rows, starts, ends):
        one, other = _root(parents, above), _root(parents, below)
        if one != other:
            parents[max(one, other)] = min(one, other)
    found: dict[int, Component] = {}
    for at, (row, start, end) in enumerate(zip(rows, starts, ends, strict=True)):
        root, run = _root(parents, at), Component(Box(start, row, end, row + 1), end - start)
        known = found.get(root)
        found[root] = run if known is None else Component(known.box.joined(run.box), known.pixels + run.pixels)
    return tuple(found.values())


def _runs(mask: Mask) -> tuple[list[int], list[int], list[int]]:
    """Row, first column and column after the last of each run of True, row by row."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    return rows.tolist(), starts.tolist(), ends.tolist()


def _touching(rows: Sequence[int], starts: Sequence[int], ends: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Pairs of runs in rows next to each other that touch, corners included."""
    above = 0
    for below, row in enumerate(rows):
        while above < below and (rows[above] < row - 1 or (rows[above] == row - 1 and ends[above] < starts[below])):
            above += 1
        at = above
        while at < below and rows[at] == row - 1 and starts[at] <= ends[below]:
            yield at, below
            at += 1


def _root(parents: list[int], at: int) -> int:
    while parents[at] != at:
        parents[at] = parents[parents[at]]
        at = parents[at]
    return at
