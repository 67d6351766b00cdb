"""What the frame and scan headers of a JPEG say of its data (ITU-T T.81 sections B.2.2, B.2.3 and A.2)."""

import struct
from dataclasses import dataclass, field
from typing import NamedTuple

from services.deid.domain.content.jpeg_ls import Presets, ScanOfJpegLs, scan_of
from services.deid.domain.content.jpeg_scan import Codes, Scan
from services.deid.domain.content.jpeg_tables import AC, DC, Tables
from services.deid.domain.dataset import Unreadable

BASELINE, EXTENDED, LOSSLESS, JPEG_LS = 0xC0, 0xC1, 0xC3, 0xF7
#: Processes that can be followed: sequential and lossless by Huffman codes, and JPEG-LS.
FRAMES = frozenset({BASELINE, EXTENDED, LOSSLESS, JPEG_LS})
_BLOCK = 8


class _Component(NamedTuple):
    wide: int
    high: int
    quantization: int


@dataclass(frozen=True)
class Frame:
    """A frame header: its process, its size and its components; ``seen`` are those that a scan has had."""

    marker: int
    value: bytes
    lines: int
    columns: int
    components: dict[int, _Component]
    seen: set[int] = field(default_factory=set)

    @property
    def is_lossless(self) -> bool:
        """True when the units of data are single samples."""
        return self.marker == LOSSLESS

    def scan_header(self, value: bytes) -> bytes:
        """The scan header without what is behind it. Raises Unreadable for components that are none, or come again."""
        found = value[: 4 + 2 * value[0]]
        chosen = found[1 : 1 + 2 * value[0] : 2]
        if len(found) < 4 + 2 * value[0] or not self.components.keys() >= set(chosen) or not chosen:
            raise Unreadable
        if not self.seen.isdisjoint(chosen) or len(set(chosen)) < len(chosen):
            raise Unreadable
        self.seen.update(chosen)
        return found

    def scan(self, header: bytes, tables: Tables, interval: int) -> Scan:
        """Blocks and their number in the scan that ``header`` begins; the tables that it needs are used then."""
        chosen = [(self.components[name], codes) for name, codes in zip(header[1:-3:2], header[2:-3:2], strict=True)]
        blocks: list[tuple[Codes, Codes | None]] = []
        for component, numbers in chosen:
            dc = tables.huffman(DC, numbers >> 4)
            ac = None if self.is_lossless else tables.huffman(AC, numbers & 15)
            if not self.is_lossless:
                tables.quantization(component.quantization)
            blocks += [(dc, ac)] * (component.wide * component.high if len(chosen) > 1 else 1)
        return Scan(tuple(blocks), self._units([component for component, _ in chosen]), interval)

    def scan_of_jpeg_ls(self, header: bytes, told: Presets, interval: int) -> ScanOfJpegLs:
        """The scan that ``header`` begins. Raises Unreadable where it has restarts, or components of other sizes."""
        if interval or any(component[:2] != (1, 1) for component in self.components.values()):
            raise Unreadable
        return scan_of(self.value[0], self.columns, self.lines, header, told)

    def _units(self, chosen: list[_Component]) -> int:
        """MCUs of a scan: of one component its blocks, of several as many as cover the picture (T.81 A.2)."""
        most_wide = max(component.wide for component in self.components.values())
        most_high = max(component.high for component in self.components.values())
        block = 1 if self.is_lossless else _BLOCK
        if len(chosen) > 1:
            return _ceil(self.columns, block * most_wide) * _ceil(self.lines, block * most_high)
        (one,) = chosen
        columns, lines = _ceil(self.columns * one.wide, most_wide), _ceil(self.lines * one.high, most_high)
        return _ceil(columns, block) * _ceil(lines, block)


def frame_of(marker: int, value: bytes) -> Frame:
    """The frame that a header describes, without what is behind. Raises Unreadable when it can't be followed."""
    _, lines, columns, count = struct.unpack_from(">BHHB", value)
    found = value[: 6 + 3 * count]
    told = struct.iter_unpack("3B", found[6 : 6 + len(found[6:]) // 3 * 3])
    components = {name: _Component(factors >> 4, factors & 15, table) for name, factors, table in told}
    if marker not in FRAMES or len(components) != count or not (lines and columns and count):
        raise Unreadable
    if any(not (1 <= each.wide <= 4 and 1 <= each.high <= 4) for each in components.values()):
        raise Unreadable
    return Frame(marker, found, lines, columns, components)


def _ceil(size: int, step: int) -> int:
    return -(-size // step)
