"""Where the data of a JPEG-LS scan end (ITU-T T.87 annexes B and C)."""

from typing import NamedTuple

from services.deid.domain.content.jpeg_ls_decoder import Bits, Decoder, Parameters
from services.deid.domain.dataset import Unreadable

#: More samples, or longer data (bytes), are not decoded here.
_MOST_SAMPLES, _MOST_BYTES = 8_000_000, 2 * 1024 * 1024
#: How it is told that components follow each other sample by sample.
_BY_SAMPLE = 2


class Presets(NamedTuple):
    """The greatest sample, the thresholds of gradients, and when contexts are halved (C.2.4.1.1); 0: the default."""

    greatest: int = 0
    first: int = 0
    second: int = 0
    third: int = 0
    reset: int = 0


class ScanOfJpegLs(NamedTuple):
    """Columns, lines and components, whether these follow each other sample by sample, and the parameters."""

    columns: int
    lines: int
    components: int
    by_sample: bool
    found: Parameters


def parameters(precision: int, near: int, told: Presets) -> Parameters:
    """Presets where they are told, else their defaults (C.2.4.1.1.1)."""
    greatest = told.greatest or (1 << precision) - 1
    if not 0 < greatest < 65536 or near > min(255, greatest // 2):
        raise Unreadable
    if greatest >= 128:
        factor = (min(greatest, 4095) + 128) // 256
        defaults = factor + 2 + 3 * near, 4 * factor + 3 + 5 * near, 17 * factor + 4 + 7 * near
    else:
        factor = 256 // (greatest + 1)
        defaults = (
            max(2, 3 // factor + 3 * near),
            max(3, 7 // factor + 5 * near),
            max(4, 21 // factor + 7 * near),
        )
    first, second, third = defaults
    first = first if near + 1 <= first <= greatest else near + 1
    second = second if first <= second <= greatest else first
    third = third if second <= third <= greatest else second
    thresholds = told.first or first, told.second or second, told.third or third
    if not near < thresholds[0] <= thresholds[1] <= thresholds[2] <= greatest:
        raise Unreadable
    return Parameters(greatest, near, thresholds, told.reset or 64)


def scan_of(precision: int, columns: int, lines: int, header: bytes, told: Presets) -> ScanOfJpegLs:
    """What a scan header says (C.2.3). Raises Unreadable for mapping tables, and for what is none of JPEG-LS."""
    components, near, interleave, shift = header[0], *header[-3:]
    if any(header[2:-3:2]) or shift or interleave > _BY_SAMPLE or (components > 1) != (interleave > 0):
        raise Unreadable
    if columns * lines * components > _MOST_SAMPLES:
        raise Unreadable
    return ScanOfJpegLs(columns, lines, components, interleave == _BY_SAMPLE, parameters(precision, near, told))


def trimmed_jpeg_ls(data: bytes, scan: ScanOfJpegLs) -> bytes:
    """The data without what no sample needs; ``data`` itself when all is needed or zero, or they are cut short.

    Raises Unreadable for more than is decoded here.
    """
    if len(data) > _MOST_BYTES:
        raise Unreadable
    bits = Bits(data)
    decoder = Decoder(bits, scan.found)
    try:
        _decode(decoder, scan)
    except IndexError:
        return data
    used = bits.bytes_for(decoder.at)
    return data[:used] if any(data[used:]) else data


def _decode(decoder: Decoder, scan: ScanOfJpegLs) -> None:
    """All lines, each from the one before it; before the first all samples are zero."""
    before = [[0] * (scan.columns + 2) for _ in range(scan.components)]
    runs = [0] * scan.components
    for _ in range(scan.lines):
        if scan.by_sample:
            before, runs[0] = decoder.lines(before, runs[0])
            continue
        for component, line in enumerate(before):
            before[component], runs[component] = decoder.line(line, runs[component])
