"""Numbers and names of the encoding of data sets (PS3.5 sections 6.2, 7.1.2 and 7.5)."""

from functools import lru_cache

from pydicom.datadict import dictionary_VR

UNDEFINED = 0xFFFFFFFF
PIXEL_DATA = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
SPECIFIC_CHARACTER_SET, PIXEL_REPRESENTATION = 0x00080005, 0x00280103
#: The elements that those behind them are understood by.
CONTEXT = frozenset({SPECIFIC_CHARACTER_SET, PIXEL_REPRESENTATION})
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
#: VRs with a length of four bytes, and of two (PS3.5 section 7.1.2).
LONG_VRS = {
    name.encode(): name for name in ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
}
SHORT_VRS = {
    name.encode(): name
    for name in (
        *("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO"),
        *("LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US"),
    )
}


@lru_cache(maxsize=8192)
def vr_of(tag: int) -> str:
    """The VR of a tag in implicit VR: the dictionary's, UL for group lengths, UN where nobody knows."""
    if tag & 0xFFFF == 0:
        return "UL"
    if (tag >> 16) & 1:
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"
