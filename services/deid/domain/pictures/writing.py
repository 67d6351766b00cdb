"""Pixel Data written anew, frame by frame."""

import struct
from typing import Any

from contracts.formats.manifest import FRAGMENT_LIMIT, Fragments, NativeFrames
from services.deid.domain.codestream import CleanFrame, cleaner_of
from services.deid.domain.content.overlay_bits import Mask
from services.deid.domain.content.samples import Samples
from services.deid.domain.dataset import ITEM, SEQUENCE_END, UNDEFINED
from services.deid.domain.pictures.picture import PIXELS
from services.deid.domain.pictures.retouch import Retouched
from services.deid.domain.pictures.syntaxes import has_plain_samples, is_encapsulated
from services.deid.domain.pixels import Output
from services.deid.domain.withholding import Reason, Withheld


def write(retouched: Retouched, output: Output, samples: Samples | None, mask: Mask | None) -> dict[str, Any]:
    """Write the pixel element; what the manifest says of it.

    ``samples`` is what the original's header says of it, ``mask`` what to leave of each sample.
    """
    if not is_encapsulated(retouched.syntax):
        return _native(retouched, output, mask)
    return _encapsulated(retouched, output, cleaner_of(retouched.syntax, samples, mask, _is_decoded))


def _is_decoded(frame: bytes) -> bool:
    """That nothing is surplus in a frame of JPEG-LS: each was decoded to be looked at (Pictures.decodes)."""
    return True


def native_frames(retouched: Retouched) -> bytes:
    """All frames of a native picture: for what is deflated whole."""
    return b"".join(_stored(retouched, number, frame) for number, frame in enumerate(retouched.frames))


def _stored(retouched: Retouched, number: int, frame: bytes | None) -> bytes:
    return retouched.original.frame(number) if frame is None else frame


def _native(retouched: Retouched, output: Output, mask: Mask | None) -> dict[str, Any]:
    picture, count = retouched.order.picture, retouched.order.picture.frames
    size = picture.decoded_size if is_encapsulated(picture.syntax) else picture.frame_size
    length = size * count + size * count % 2
    order = "<" if picture.little else ">"
    if retouched.implicit:
        output.data(struct.pack("<HHI", PIXELS >> 16, PIXELS & 0xFFFF, length))
    else:
        vr = b"OW" if picture.allocated > 8 or picture.words else b"OB"
        output.data(struct.pack(order + "HH2sHI", PIXELS >> 16, PIXELS & 0xFFFF, vr, 0, length))
    start = output.length - output.dataset_offset
    for number, frame in enumerate(retouched.frames):
        data = _stored(retouched, number, frame)
        if len(data) != size:
            raise Withheld(Reason.FAILED)
        output.data(mask.clear(data) if mask else data)
    output.data(b"\0" * (length - size * count))
    return {
        "pixel_offset": start,
        "pixel_length": length,
        "pixels": NativeFrames(offset=start, size=size, count=count),
    }


def _encapsulated(retouched: Retouched, output: Output, clean: CleanFrame) -> dict[str, Any]:
    output.data(struct.pack("<HH2sHI", PIXELS >> 16, PIXELS & 0xFFFF, b"OB", 0, UNDEFINED))
    start = output.length - output.dataset_offset
    output.data(_item(ITEM, 0))  # an empty Basic Offset Table
    fragments: list[tuple[int, int]] = []
    for number, frame in enumerate(retouched.frames):
        data = _stored(retouched, number, frame)
        if frame is None or has_plain_samples(retouched.syntax):
            data = clean(data)
        data += b"\0" * (len(data) % 2)
        output.data(_item(ITEM, len(data)))
        if len(fragments) <= FRAGMENT_LIMIT:
            fragments.append((output.length - output.dataset_offset, len(data)))
        output.data(data)
    output.data(_item(SEQUENCE_END, 0))
    return {
        "pixel_offset": start,
        "pixel_length": output.length - output.dataset_offset - start,
        "pixels": Fragments(fragments=tuple(fragments)) if len(fragments) <= FRAGMENT_LIMIT else None,
    }


def _item(tag: int, length: int) -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)
