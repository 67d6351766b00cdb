"""What the headers of a JPEG 2000 code stream say of how its packets lie (ITU-T T.800 annexes A.5 and A.6)."""

import struct
from dataclasses import dataclass, field
from typing import NamedTuple

from services.deid.domain.dataset import Unreadable

SIZ, COD, COC, POC = 0xFF51, 0xFF52, 0xFF53, 0xFF5F
QCD, QCC, RGN, CAP = 0xFF5C, 0xFF5D, 0xFF5E, 0xFF50
_PRECINCTS, SOP, EPH = 1, 2, 4
#: Of a code-block's style: bypass, termination of each pass, high throughput; of mixed ones nothing is known here.
BYPASS, TERMINATION, HIGH_THROUGHPUT, _MIXED = 0x01, 0x04, 0x40, 0x80
_WHOLE = 15
#: More components than this have indices of two bytes.
_FEW = 257
_MOST_LEVELS = 32


class Size(NamedTuple):
    """Of the reference grid: the image's area, the first tile's; and by component the samples' distances."""

    right: int
    bottom: int
    left: int
    top: int
    tile_width: int
    tile_height: int
    tile_left: int
    tile_top: int
    steps: tuple[tuple[int, int], ...]

    @property
    def across(self) -> int:
        """Tiles beside each other."""
        return -(-(self.right - self.tile_left) // self.tile_width)

    @property
    def tiles(self) -> int:
        """Tiles of the image."""
        return self.across * -(-(self.bottom - self.tile_top) // self.tile_height)


class Style(NamedTuple):
    """How a component is coded: levels, code-blocks as powers of two, their style, and precincts by resolution."""

    levels: int
    block: tuple[int, int]
    style: int
    precincts: tuple[tuple[int, int], ...]


class Order(NamedTuple):
    """One progression (A.6.6): resolutions and components from and below, layers below, and which comes first."""

    resolution: int
    component: int
    layers: int
    resolutions: int
    components: int
    kind: int


@dataclass(frozen=True)
class Coding:
    """What is said so far, in the main header or, over it, in that of a tile."""

    size: Size
    flags: int = 0
    kind: int = 0
    layers: int = 1
    default: Style | None = None
    styles: dict[int, Style] = field(default_factory=dict)
    orders: tuple[Order, ...] = ()

    def style(self, component: int) -> Style:
        """How a component is coded."""
        found = self.styles.get(component, self.default)
        if found is None:
            raise Unreadable
        return found

    def progressions(self) -> tuple[Order, ...]:
        """The progressions one after the other: the default one where no others are told."""
        return self.orders or (Order(0, 0, self.layers, _MOST_LEVELS + 1, len(self.size.steps), self.kind),)

    @property
    def most_levels(self) -> int:
        """Levels of the component that has most."""
        return max((each.levels for each in (*self.styles.values(), self.default) if each), default=0)

    @property
    def index(self) -> int:
        """Bytes of a component's number."""
        return 1 if len(self.size.steps) < _FEW else 2


def size_of(value: bytes) -> tuple[Size, bytes]:
    """What SIZ says (A.5.1), and its value without what is behind. Raises Unreadable for an image of no size."""
    right, bottom, left, top, wide, high, first, upper, components = struct.unpack_from(">8IH", value, 2)
    found = value[: 36 + 3 * components]
    told = struct.iter_unpack("3B", found[36 : 36 + len(found[36:]) // 3 * 3])
    steps = tuple((across, down) for _, across, down in told)
    is_sound = first <= left < min(right, first + wide) and upper <= top < min(bottom, upper + high)
    if len(steps) != components or not components or not all(map(all, steps)) or not is_sound:
        raise Unreadable
    return Size(right, bottom, left, top, wide, high, first, upper, steps), found


def style_of(value: bytes, has_precincts: bool) -> tuple[Style, bytes]:
    """The parameters at the start of ``value`` (Table A.15), and the bytes that tell them."""
    levels, width, height, style = value[:4]
    found = value[: 5 + (levels + 1 if has_precincts else 0)]
    sizes = tuple((each & 15, each >> 4) for each in found[5:]) or ((_WHOLE, _WHOLE),) * (levels + 1)
    is_sound = levels <= _MOST_LEVELS and max(width, height) <= 8 and width + height <= 8
    if len(found) < 5 or len(sizes) != levels + 1 or not is_sound or style & _MIXED:
        raise Unreadable
    if not all(map(all, sizes[1:])):
        raise Unreadable  # a precinct of one sample has no room for three bands
    return Style(levels, (width + 2, height + 2), style, sizes), found


def orders_of(value: bytes, index: int) -> tuple[tuple[Order, ...], bytes]:
    """The progressions of POC (A.6.6), and its value without what is behind."""
    form = struct.Struct(">BBHBBB" if index == 1 else ">BHHBHB")
    count = len(value) // form.size
    orders = tuple(Order(*each) for each in form.iter_unpack(value[: count * form.size]))
    if not orders:
        raise Unreadable
    return orders, value[: count * form.size]
