"""Where the code-blocks of a tile lie: resolutions, bands and precincts (ITU-T T.800 annex B)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby, product
from typing import NamedTuple

from services.deid.domain.content.jpeg2000_coding import Coding, Order, Size, Style
from services.deid.domain.dataset import Unreadable

#: More precincts or code-blocks in a tile than this are not followed.
_MOST = 1_000_000
_LRCP, _RLCP, _RPCL, _PCRL, _CPRL = range(5)
#: A tag tree's node of which nothing is known.
_UNKNOWN = 1 << 30


class Area(NamedTuple):
    """Columns and rows from (and below)."""

    left: int
    top: int
    right: int
    bottom: int


class TagTree:
    """Numbers of code-blocks, told by the least of four, of sixteen … first (B.10.2)."""

    def __init__(self, wide: int, high: int) -> None:
        self._parents: list[int] = []
        start = 0
        while wide * high > 1:
            above, next_wide = start + wide * high, -(-wide // 2)
            places = product(range(high), range(wide))
            self._parents += [above + row // 2 * next_wide + column // 2 for row, column in places]
            start, wide, high = above, next_wide, -(-high // 2)
        self._parents.append(-1)
        self._values, self._lows = [_UNKNOWN] * len(self._parents), [0] * len(self._parents)

    def is_below(self, leaf: int, limit: int, bits: Iterator[int]) -> bool:
        """Whether the number of a code-block is below ``limit``, by as many of the ``bits`` as that takes."""
        path = [leaf]
        while (parent := self._parents[path[-1]]) >= 0:
            path.append(parent)
        low = 0
        for node in reversed(path):
            low = max(low, self._lows[node])
            while low < limit and low < self._values[node]:
                if next(bits):
                    self._values[node] = low
                else:
                    low += 1
            self._lows[node] = low
        return self._values[leaf] < limit


class Band:
    """The code-blocks of one band in a precinct: their number, and what is known of each."""

    def __init__(self, wide: int, high: int) -> None:
        self.count = wide * high
        self.included, self.planes = TagTree(wide, high), TagTree(wide, high)
        self.length_bits = [0] * self.count  # 0: not included yet
        self.passes = [0] * self.count


@dataclass
class Precinct:
    """One precinct of a component's resolution: where it begins on the reference grid, and its bands."""

    component: int
    resolution: int
    number: int
    top: int
    left: int
    style: Style
    areas: tuple[Area, ...]
    layers: int = 0
    _bands: list[Band] = field(default_factory=list)

    def bands(self) -> list[Band]:
        """Its bands, from the first packet on."""
        if not self._bands:
            self._bands = [Band(area.right - area.left, area.bottom - area.top) for area in self.areas]
        return self._bands


def precincts_of(coding: Coding, tile: int) -> list[Precinct]:
    """All precincts of a tile. Raises Unreadable when they are more than are followed."""
    area, found, left = _tile(coding.size, tile), [], _MOST
    for component, (across, down) in enumerate(coding.size.steps):
        inner = Area(_up(area.left, across), _up(area.top, down), _up(area.right, across), _up(area.bottom, down))
        style = coding.style(component)
        for resolution in range(style.levels + 1):
            for precinct in _precincts(component, resolution, style, inner, left):
                step = style.levels - resolution
                precinct.left = max(area.left, (precinct.left << step) * across)
                precinct.top = max(area.top, (precinct.top << step) * down)
                left -= 1 + sum((each.right - each.left) * (each.bottom - each.top) for each in precinct.areas)
                if left < 0:
                    raise Unreadable
                found.append(precinct)
    return found


def _tile(size: Size, tile: int) -> Area:
    """The tile on the reference grid (B.3)."""
    if tile >= size.tiles:
        raise Unreadable
    row, column = divmod(tile, size.across)
    left, top = size.tile_left + column * size.tile_width, size.tile_top + row * size.tile_height
    right, bottom = min(left + size.tile_width, size.right), min(top + size.tile_height, size.bottom)
    return Area(max(left, size.left), max(top, size.top), right, bottom)


def _precincts(component: int, resolution: int, style: Style, inner: Area, limit: int) -> Iterator[Precinct]:
    """The precincts of a resolution (B.6); left and top are those on the resolution's own grid."""
    step, (wide, high) = style.levels - resolution, style.precincts[resolution]
    area = Area(*(-(-each >> step) for each in inner))
    if area.left >= area.right or area.top >= area.bottom:
        return
    columns = range(area.left >> wide, -(-area.right >> wide))
    rows = range(area.top >> high, -(-area.bottom >> high))
    if len(columns) * len(rows) > limit:
        raise Unreadable
    bands = list(_bands(resolution, style, inner))
    shift = 1 if resolution else 0
    block = min(style.block[0], wide - shift), min(style.block[1], high - shift)
    for number, (row, column) in enumerate(product(rows, columns)):
        whole = Area(column << wide - shift, row << high - shift, column + 1 << wide - shift, row + 1 << high - shift)
        blocks = tuple(_blocks(band, whole, block) for band in bands)
        yield Precinct(component, resolution, number, row << high, column << wide, style, blocks)


def _bands(resolution: int, style: Style, inner: Area) -> Iterator[Area]:
    """The bands of a resolution (B.5): the smallest has one, any other those of three orientations."""
    step = style.levels if not resolution else style.levels - resolution + 1
    for across, down in ((0, 0),) if not resolution else ((1, 0), (0, 1), (1, 1)):
        half = 1 << step >> 1
        moved = half * across, half * down, half * across, half * down
        yield Area(*(-(-(each - by) >> step) for each, by in zip(inner, moved, strict=True)))


def _blocks(band: Area, precinct: Area, block: tuple[int, int]) -> Area:
    """The code-blocks of a band in a precinct, counted on their grid (B.7); an area of nothing for none."""
    left, top = max(band.left, precinct.left), max(band.top, precinct.top)
    right, bottom = min(band.right, precinct.right), min(band.bottom, precinct.bottom)
    if left >= right or top >= bottom:
        return Area(0, 0, 0, 0)
    wide, high = block
    return Area(left >> wide, top >> high, -(-right >> wide), -(-bottom >> high))


def packets(precincts: list[Precinct], order: Order) -> Iterator[tuple[Precinct, int]]:
    """Each precinct with each layer in the order of one progression (B.12)."""
    chosen = [
        each
        for each in precincts
        if order.resolution <= each.resolution < order.resolutions
        and order.component <= each.component < (order.components or 256)
    ]
    layers = range(order.layers)
    if order.kind in (_LRCP, _RLCP):
        chosen.sort(key=lambda each: (each.resolution, each.component, each.number))
        if order.kind == _LRCP:
            yield from ((each, layer) for layer in layers for each in chosen)
            return
        for _, group in groupby(chosen, key=lambda each: each.resolution):
            same = list(group)
            yield from ((each, layer) for layer in layers for each in same)
        return
    if order.kind == _RPCL:
        chosen.sort(key=lambda each: (each.resolution, each.top, each.left, each.component, each.number))
    elif order.kind == _PCRL:
        chosen.sort(key=lambda each: (each.top, each.left, each.component, each.resolution, each.number))
    elif order.kind == _CPRL:
        chosen.sort(key=lambda each: (each.component, each.top, each.left, each.resolution, each.number))
    else:
        raise Unreadable
    yield from ((each, layer) for each in chosen for layer in layers)


def _up(number: int, step: int) -> int:
    return -(-number // step)
