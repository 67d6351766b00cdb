"""The pixels of one object: how closely they are looked at, what becomes of them, and what the header says then."""

import struct
from collections.abc import Mapping
from io import BytesIO
from typing import BinaryIO, NamedTuple

from contracts.formats.manifest import Instance
from services.deid.domain.dataset import Element, Elements, Encoding, encoding_of
from services.deid.domain.marks import BURNED_IN
from services.deid.domain.pictures.frames import frames_of
from services.deid.domain.pictures.picture import PHOTOMETRIC, PIXELS, PLANAR
from services.deid.domain.pictures.retouch import Care, Pictures, Retouched, retouch
from services.deid.domain.pictures.risk import Header, standard_risks
from services.deid.domain.pictures.syntaxes import is_encapsulated, photometric_after
from services.deid.domain.pixels import pixel_head
from services.deid.domain.profile import Profile
from services.deid.domain.withholding import Reason, Withheld
from services.deid.domain.workspace import Span

#: Extended Offset Table and its lengths: they describe the frames as they were.
OFFSET_TABLES = frozenset({0x7FE00001, 0x7FE00002})


class Looked(NamedTuple):
    """What was found: ``passed`` when the pixels were looked at, ``retouched`` when some of them change.

    ``textless``: nothing is looked for, since the class draws no text (tables/sop_classes.yaml).
    """

    passed: bool = False
    retouched: Retouched | None = None
    without_overlays: bool = False
    textless: bool = False

    @property
    def clean(self) -> bool:
        """Whether nothing is burned into the pixels that go out."""
        return self.passed or self.textless

    @property
    def syntax(self) -> str | None:
        """The new transfer syntax, None for the old one."""
        return self.retouched.syntax if self.retouched else None

    def told(self, elements: Elements, encoding: Encoding) -> Elements:
        """The header with what was done to the pixels: nothing is burned in any more (PS3.15 section E.3.1)."""
        kept = {element.tag: element for element in elements}
        if self.clean:
            kept[BURNED_IN] = Element(BURNED_IN, "CS", b"NO")
        if self.retouched is not None:
            kept.update(_described(self.retouched, encoding))
        gone = OFFSET_TABLES if self.retouched is not None else frozenset[int]()
        return tuple(kept[tag] for tag in sorted(kept) if tag not in gone and not self._is_overlay(tag))

    def _is_overlay(self, tag: int) -> bool:
        """True for what describes an overlay whose bits are cleared."""
        return self.without_overlays and tag >> 24 == 0x60


def _described(retouched: Retouched, encoding: Encoding) -> Mapping[int, Element]:
    """Photometric interpretation and planes as the new transfer syntax has them."""
    picture = retouched.order.picture
    photometric = photometric_after(picture.syntax, retouched.syntax, picture.photometric)
    found = {PHOTOMETRIC: Element(PHOTOMETRIC, "CS", photometric.encode())}
    if picture.samples > 1 and is_encapsulated(picture.syntax) and not is_encapsulated(retouched.syntax):
        found[PLANAR] = Element(PLANAR, "US", (0).to_bytes(2, "little" if encoding.little else "big"))
    return found


def looked_at(
    source: BinaryIO,
    original: Instance,
    elements: Elements,
    inflated: Element | None,
    profile: Profile,
    pictures: Pictures,
    *,
    approved: bool = False,
) -> Looked:
    """Look at the pixels that ``elements`` describe, in ``source`` or, of a deflated object, ``inflated``.

    Raises Withheld; where a person ``approved`` what comes out, only for what can't be read, cleaned or shown.
    """
    if inflated is None and original.pixel_offset is None:
        return Looked()
    header = Header(elements, original.transfer_syntax, encoding_of(original.transfer_syntax))
    order = standard_risks().order(header, profile, pictures.devices, approved=approved)
    if order is None:
        return Looked(textless=True)
    if inflated is None:
        words, value = _stored(source, original)
    else:
        words, value = inflated.vr == "OW", Span(0, len(inflated.value))
        source = BytesIO(inflated.value)
    picture = order.picture.in_words(words)
    found = retouch(order.of(picture), frames_of(source, value, picture), pictures)
    if found is not None:
        found = found._replace(implicit=header.encoding.implicit)
    textless = order.care is Care.NEVER
    return Looked(not textless, found, bool(order.cleared_bits), textless)


def _stored(source: BinaryIO, original: Instance) -> tuple[bool, Span]:
    """Whether the VR says words, and where the pixels lie in the file."""
    if original.pixel_offset is None or original.pixel_length is None:
        raise Withheld(Reason.PIXELS_UNREADABLE)
    source.seek(original.dataset_offset + original.header_length)
    head = source.read(original.pixel_offset - original.header_length)
    plain = pixel_head(head, original)
    group, number = struct.unpack_from("<HH" if encoding_of(original.transfer_syntax).little else ">HH", plain)
    if group << 16 | number != PIXELS:
        raise Withheld(Reason.PIXELS_UNREADABLE)
    words = encoding_of(original.transfer_syntax).implicit or plain[4:6] == b"OW"
    return words, Span(original.dataset_offset + original.pixel_offset, original.pixel_length)
