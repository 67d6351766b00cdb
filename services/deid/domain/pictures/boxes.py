"""Boxes of pixels: found, widened, joined, turned."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
#: Runs of pixels, one a line: row, first column, column after the last.
Runs = NDArray[np.int64]


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
    """Pixels that touch each other: the box around them, how many they are, and their runs (see _runs), one a line."""

    box: Box
    pixels: int
    runs: Runs


def components(mask: Mask) -> tuple[Component, ...]:
    """The eight-connected components of ``mask`` (rows, columns), by runs of rows joined to those of the row above."""
    runs = _runs(mask)
    if not len(runs):
        return ()
    rows, starts, ends = runs.T.tolist()
    parents = list(range(len(rows)))
    for above, below in _touching(rows, starts, ends):
        one, other = _root(parents, above), _root(parents, below)
        if one != other:
            parents[max(one, other)] = min(one, other)
    roots = np.array([_root(parents, at) for at in range(len(rows))])
    order = np.argsort(roots, kind="stable")
    runs, firsts = runs[order], np.flatnonzero(np.diff(roots[order], prepend=-1))
    lowest, highest = np.minimum.reduceat(runs, firsts), np.maximum.reduceat(runs, firsts)
    boxes = np.stack([lowest[:, 1], lowest[:, 0], highest[:, 2], highest[:, 0] + 1], axis=1).tolist()
    pixels = np.add.reduceat(runs[:, 2] - runs[:, 1], firsts).tolist()
    parts = np.split(runs, firsts[1:])
    return tuple(Component(Box(*box), count, part) for box, count, part in zip(boxes, pixels, parts, strict=True))


def _runs(mask: Mask) -> Runs:
    """Row, first column and column after the last of each run of True, row by row."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    return np.stack([rows, starts, ends], axis=1)


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
