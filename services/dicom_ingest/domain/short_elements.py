"""Elements that are read at a glance, as nearly all of a header are: short VRs in explicit VR (PS3.5 section 7.1.2)."""

import struct

from services.dicom_ingest.domain.vrs import CONTEXT, PIXEL_DATA, SHORT_VRS

#: The tag of an element; its VR, length and value as they are written.
Short = tuple[int, bytes]
_APART = PIXEL_DATA | CONTEXT
_HEAD = 8


def short_elements(block: bytes, index: int, end: int, most: int, head: struct.Struct) -> tuple[list[Short], int]:
    """Elements of ``block`` from ``index`` on, no more than ``most``, and where they end, by ``end`` at the latest.

    What needs more care ends them: lengths of four bytes, pixels, and what others are understood by. ``head`` is that
    of an element.
    """
    found: list[Short] = []
    # None is shorter than a head.
    last = min(end, index + most * _HEAD) - _HEAD
    read = head.unpack_from
    while index <= last:
        group, number, vr, length = read(block, index)
        tag, following = group << 16 | number, index + _HEAD + length
        if vr not in SHORT_VRS or following > end or tag in _APART:
            break
        found.append((tag, block[index + 4 : following]))
        index = following
    return found, index
