"""How many samples Pixel Data has and how they lie in it, by its header (PS3.3 section C.7.6.3, PS3.5 section 8.1)."""

import struct
from typing import NamedTuple

from services.deid.domain.dataset import Elements, Encoding

_SAMPLES, _PHOTOMETRIC, _FRAMES, _ROWS, _COLUMNS = 0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280011
_ALLOCATED, _STORED, _HIGH, _SIGNED = 0x00280100, 0x00280101, 0x00280102, 0x00280103
#: Native pixels of these have two samples each.
_SUBSAMPLED = frozenset({b"YBR_FULL_422", b"YBR_PARTIAL_422"})


class Samples(NamedTuple):
    """Rows, columns and frames; samples of a pixel, in native form ``native`` of them; and the bits of a sample."""

    rows: int
    columns: int
    frames: int
    planes: int
    native: int
    allocated: int
    stored: int
    high: int
    signed: bool

    @property
    def native_size(self) -> int:
        """Bytes of all frames in native form, without padding."""
        return (self.rows * self.columns * self.native * self.allocated * self.frames + 7) // 8

    @property
    def is_sound(self) -> bool:
        """True when the bits of a sample lie within what is allocated for it."""
        return 0 < self.stored <= self.high + 1 <= self.allocated


def samples_of(elements: Elements, encoding: Encoding) -> Samples | None:
    """What the header says, None when it does not say how many bytes there are; of bits untold, 0."""
    values = {tag: value for tag, _, value, _ in elements if tag >> 16 == 0x0028}

    def number(tag: int, default: int = 0) -> int:
        value = values.get(tag, b"")
        return int(struct.unpack_from("<H" if encoding.little else ">H", value)[0]) if len(value) >= 2 else default

    frames = values.get(_FRAMES, b"").strip(b" \0").removeprefix(b"+") or b"1"
    planes = number(_SAMPLES, 1)
    native = 2 if values.get(_PHOTOMETRIC, b"").strip(b" \0") in _SUBSAMPLED else planes
    found = Samples(
        number(_ROWS),
        number(_COLUMNS),
        int(frames) if frames.isdigit() else 0,
        planes,
        native,
        number(_ALLOCATED),
        number(_STORED),
        number(_HIGH),
        bool(number(_SIGNED)),
    )
    return found if found.native_size > 0 else None
