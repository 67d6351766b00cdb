"""Graphic annotations, shutters and what points to overlays (PS3.3 sections C.10.5, C.7.6.15; PS3.15 section E.3.3)."""

import struct

from services.deid.domain.content.report import Generic
from services.deid.domain.dataset import Element, Elements, Encoding

ANNOTATION, GRAPHIC_OBJECTS = 0x00700001, 0x00700009
_LAYER, _IMAGES = 0x00700002, 0x00081140
SHUTTER_SHAPE, _BITMAP = 0x00181600, b"BITMAP"
#: What a bitmap shutter alone needs: its overlay group, which does not go out.
SHUTTER_OVERLAY = 0x00181623
#: What every shutter may have, and none when no shape is left.
SHUTTER_VALUE, SHUTTER_COLOUR = 0x00181622, 0x00181624


def annotations(items: tuple[Elements, ...], generic: Generic) -> tuple[Elements, ...]:
    """Annotations with their points and lines; texts and references by the rules for attributes."""
    return tuple(generic(item, ANNOTATION) for item in items)


def annotation_placeholder(items: tuple[Elements, ...], generic: Generic, encoding: Encoding) -> tuple[Elements, ...]:
    """What stands for annotations of which no option speaks: one point in a corner (code D of the Basic Profile)."""
    first = generic(tuple(each for each in items[0] if each.tag in (_LAYER, _IMAGES)), ANNOTATION) if items else ()
    layer = () if any(each.tag == _LAYER for each in first) else (Element(_LAYER, "CS", b"REMOVED"),)
    return ((*first, *layer, Element(GRAPHIC_OBJECTS, "SQ", items=(_point("<" if encoding.little else ">"),))),)


def _point(order: str) -> Elements:
    return (
        Element(0x00700005, "CS", b"PIXEL"),
        Element(0x00700020, "US", struct.pack(order + "H", 2)),
        Element(0x00700021, "US", struct.pack(order + "H", 1)),
        Element(0x00700022, "FL", struct.pack(order + "2f", 1, 1)),
        Element(0x00700023, "CS", b"POINT"),
    )


def without_bitmap_shutter(elements: Elements) -> Elements:
    """The shutter without the shape that an overlay would give; without shapes it is none."""
    shapes = next((each.value.strip(b" \0").split(b"\\") for each in elements if each.tag == SHUTTER_SHAPE), [])
    if _BITMAP not in shapes:
        return elements
    left = b"\\".join(shape for shape in shapes if shape != _BITMAP)
    gone = {SHUTTER_OVERLAY} if left else {SHUTTER_OVERLAY, SHUTTER_SHAPE, SHUTTER_VALUE, SHUTTER_COLOUR}
    return tuple(
        each._replace(value=left) if each.tag == SHUTTER_SHAPE else each for each in elements if each.tag not in gone
    )
