"""Enhanced multi-frame objects of as many frames as wanted, in defined and undefined lengths (PS3.3 C.7.6.16)."""

import struct
from functools import partial
from typing import Any

from tests.support.instances import make_instances
from tests.unit.dicom_ingest.data_sets import element, encode

EXPLICIT = "1.2.840.10008.1.2.1"
ENHANCED_CT, SEGMENTATION = "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.66.4"
PER_FRAME = 0x52009230
_ITEM, _ITEM_END, _SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"
_OPEN = 0xFFFFFFFF


def item(*members: bytes, undefined: bool) -> bytes:
    """One item of a sequence."""
    value = b"".join(members)
    if undefined:
        return _ITEM + b"\xff\xff\xff\xff" + value + _ITEM_END
    return _ITEM + struct.pack("<I", len(value)) + value


def sequence(tag: int, *items: bytes, undefined: bool) -> bytes:
    """A sequence of these items."""
    value = b"".join(items)
    return element(tag, b"SQ", value + _SEQUENCE_END, _OPEN) if undefined else element(tag, b"SQ", value)


def _numbers(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}d", *values)


def _group(tag: int, *members: bytes, undefined: bool) -> bytes:
    return sequence(tag, item(*members, undefined=undefined), undefined=undefined)


def _code(tag: int, code: bytes, meaning: bytes, *, undefined: bool) -> bytes:
    named = ((0x00080100, b"SH", code), (0x00080102, b"SH", b"DCM "), (0x00080104, b"LO", meaning))
    return _group(tag, *(element(*each) for each in named), undefined=undefined)


def _common(number: int) -> dict[int, bytes]:
    index = struct.pack("<II", 1, number)
    position = f"-99.5\\-301.25\\{number * 0.625:.3f}".encode()
    return {
        0x00209111: element(0x00209157, b"UL", index),
        0x00209113: element(0x00200032, b"DS", position + b" " * (len(position) % 2)),
    }


def ct_frame(number: int, *, undefined: bool) -> bytes:
    """The functional groups of a frame of an enhanced CT (PS3.3 section A.38.1.4), as wordy as a scanner."""
    measured = partial(element, vr=b"FD", value=_numbers(number / 3))
    groups = _common(number) | {
        0x00209116: element(0x00200037, b"DS", b"1\\0\\0\\0\\1\\0"),
        0x00289110: element(0x00180050, b"DS", b"0.62") + element(0x00280030, b"DS", b"0.7\\0.7 "),
        0x00289132: element(0x00281050, b"DS", b"40") + element(0x00281051, b"DS", b"400 "),
        0x00289145: element(0x00281052, b"DS", b"-1024 ") + element(0x00281053, b"DS", b"1 "),
        0x00189301: element(0x00080008, b"CS", b"ORIGINAL\\PRIMARY") + element(0x00189361, b"CS", b"NO"),
    }
    for tag, many in ((0x00189304, 6), (0x00189308, 3), (0x00189312, 3), (0x00189314, 8), (0x00189321, 5)):
        groups[tag] = b"".join(measured(0x00189302 + offset) for offset in range(many))
    for tag in (0x00189325, 0x00189326, 0x00189477):
        groups[tag] = b"".join(measured(0x00189330 + offset) for offset in range(4))
    told = (_group(tag, members, undefined=undefined) for tag, members in sorted(groups.items()))
    return item(*told, undefined=undefined)


def segment_frame(number: int, *, undefined: bool) -> bytes:
    """The functional groups of a frame of a segmentation (PS3.3 section A.51.5), with the image it was made from."""
    source = item(
        element(0x00081150, b"UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
        element(0x00081155, b"UI", b"1.2.826.0.1.3680043.8.%08d" % number),
        _code(0x0040A170, b"121322", b"Source image for image processing ", undefined=undefined),
        undefined=undefined,
    )
    derived = sequence(0x00082112, source, undefined=undefined)
    derived += _code(0x00089215, b"113076", b"Segmentation", undefined=undefined)
    groups = _common(number) | {0x00089124: derived, 0x0062000A: element(0x0062000B, b"US", b"\1\0")}
    told = (_group(tag, members, undefined=undefined) for tag, members in sorted(groups.items()))
    return item(*told, undefined=undefined)


def _object(frames: bytes, rows: int, pixels: bytes, *, undefined: bool, count: int, **attributes: Any) -> bytes:
    uid = attributes.pop("sop_uid", None)
    (image,) = make_instances(1, rows=rows, NumberOfFrames=count, **attributes)
    image.SOPInstanceUID = uid or image.SOPInstanceUID
    del image.PixelData
    groups = sequence(PER_FRAME, frames, undefined=undefined)
    return encode(image, EXPLICIT) + groups + element(0x7FE00010, b"OW", pixels)


def enhanced_ct(count: int, *, undefined: bool = False, **attributes: Any) -> bytes:
    """The data set of an enhanced CT of ``count`` frames, 8 × 8 of 16 bits."""
    frames = b"".join(ct_frame(number, undefined=undefined) for number in range(1, count + 1))
    attributes = {"SOPClassUID": ENHANCED_CT, **attributes}
    return _object(frames, 8, bytes(128 * count), undefined=undefined, count=count, **attributes)


def segmentation(count: int, *, undefined: bool = False, **attributes: Any) -> bytes:
    """The data set of a binary segmentation of ``count`` frames, 16 × 16 of one bit."""
    frames = b"".join(segment_frame(number, undefined=undefined) for number in range(1, count + 1))
    bits = {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0, "Modality": "SEG", "SOPClassUID": SEGMENTATION}
    return _object(frames, 16, bytes(32 * count), undefined=undefined, count=count, **bits, **attributes)
