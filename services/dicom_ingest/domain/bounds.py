"""What reading one data set may cost (docs/adr/0025)."""

from dataclasses import dataclass

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Bounds:
    """What one data set may ask of us: nested sequences, elements and items that are read.

    A sequence of more than ``told`` bytes, bulk data apart, is passed over, and without a length it has at most
    ``passed`` elements and items: 10,000 frames with all their functional groups have 1.1 million. So many fragments
    may pixels have, too. What is deflated may grow to ``inflated`` bytes, and ``ratio`` times its size.
    """

    depth: int = 32
    elements: int = 200_000
    items: int = 100_000
    told: int = 256 * 1024
    passed: int = 2_500_000
    inflated: int = 64 * _MIB
    ratio: int = 200


USUAL = Bounds()
