"""Lines of letters that run neither level nor upright: a box turned with them, and boxes one after the other on it."""

from collections.abc import Iterator
from math import ceil, cos, radians, sin
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.deid.domain.pictures.boxes import Box, Runs


class Turned(NamedTuple):
    """A rectangle: its middle (column, row), in which direction it is long (radians, from right to down), its sides."""

    middle: tuple[float, float]
    direction: float
    length: float
    height: float

    @property
    def area(self) -> float:
        """In pixels."""
        return self.length * self.height

    def widened(self, by: float) -> "Turned":
        """With a margin of ``by`` pixels on each side."""
        return self._replace(length=self.length + 2 * by, height=self.height + 2 * by)

    def longer(self) -> "Turned":
        """Longer by its height at either end, where a network sees less of the last letters."""
        return self._replace(length=self.length + 2 * self.height)

    def pieces(self, rows: int, columns: int) -> Iterator[Box]:
        """Boxes that cover it together, within a picture: each around a piece half as long as it is high."""
        count = max(1, ceil(2 * self.length / max(self.height, 1)))
        along = (cos(self.direction), sin(self.direction))
        half = self.length / count / 2
        across = abs(half * along[0]) + abs(self.height / 2 * along[1])
        down = abs(half * along[1]) + abs(self.height / 2 * along[0])
        for number in range(count):
            at = (2 * number + 1) * half - self.length / 2
            x, y = self.middle[0] + at * along[0], self.middle[1] + at * along[1]
            box = Box(int(x - across), int(y - down), ceil(x + across), ceil(y + down)).widened(0, rows, columns)
            if box.width > 0 and box.height > 0:
                yield box


def turned_box(runs: Runs) -> Turned:
    """The least rectangle around pixels, by the tenth of a degree."""
    rows, starts, ends = runs.T
    points = np.concatenate([np.stack([x, y], 1) for x in (starts, ends) for y in (rows, rows + 1)]).astype(np.float64)
    degrees = _best(points, np.arange(0.0, 90.0))
    return _around(points, radians(_best(points, degrees + np.arange(-1.0, 1.05, 0.1))))


def _best(points: NDArray[np.float64], degrees: NDArray[np.float64]) -> float:
    """Of some angles that by which a rectangle around ``points`` (columns, rows) is least."""
    angles = np.radians(degrees)
    along = np.ptp(points @ np.stack([np.cos(angles), np.sin(angles)]), axis=0)
    across = np.ptp(points @ np.stack([-np.sin(angles), np.cos(angles)]), axis=0)
    return float(degrees[(along * across).argmin()])


def _around(points: NDArray[np.float64], angle: float) -> Turned:
    axes = np.array([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]])
    placed = points @ axes.T
    low, high = placed.min(0), placed.max(0)
    column, row = (low + high) / 2 @ axes
    length, height = (high - low).tolist()
    if length < height:
        angle, length, height = angle + radians(90), height, length
    return Turned((float(column), float(row)), angle, length, height)
