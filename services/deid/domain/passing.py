"""The pixels of one object on their way out: what is surplus in them, what is cleared, and how they are written."""

from functools import partial
from typing import Any, BinaryIO, NamedTuple

from contracts.formats.manifest import Instance
from services.deid.domain.codestream import JPEG_LS, Proof
from services.deid.domain.content.overlay_bits import Mask, image_bits
from services.deid.domain.content.samples import Samples, samples_of
from services.deid.domain.dataset import Element, Elements, encoding_of
from services.deid.domain.deflated import DEFLATED
from services.deid.domain.fragments import Fragments
from services.deid.domain.pictures.looking import Looked
from services.deid.domain.pictures.picture import picture_of
from services.deid.domain.pictures.retouch import Pictures
from services.deid.domain.pictures.syntaxes import has_plain_samples
from services.deid.domain.pictures.writing import native_frames, write
from services.deid.domain.pixels import Output, splice, survey_pixels
from services.deid.domain.withholding import Reason, Withheld


class Passage(NamedTuple):
    """What was found by looking, what the header says of the samples, what to leave of each, and what is in frames."""

    looked: Looked
    samples: Samples | None
    mask: Mask | None
    found: Fragments | None

    def write(self, source: BinaryIO, original: Instance, output: Output) -> dict[str, Any]:
        """Write the pixel element, if there is one; what the manifest says of it."""
        if self.looked.retouched:
            return write(self.looked.retouched, output, self.samples, self.mask)
        return splice(source, original, output, self.found, self.mask, self.samples)

    def inflated(self, pixels: Element | None) -> Element | None:
        """The pixels of a deflated object as they go out, but for their free bits: without what stands behind them."""
        if pixels is None:
            return None
        if self.samples is None:
            raise Withheld(Reason.PIXELS_UNREADABLE)
        value = native_frames(self.looked.retouched) if self.looked.retouched else pixels.value
        return pixels._replace(value=value[: self.samples.native_size])


def passage(
    source: BinaryIO,
    original: Instance,
    elements: Elements,
    inflated: Element | None,
    looked: Looked,
    pictures: Pictures | None,
) -> Passage:
    """How the pixels that ``elements`` describe go out. Raises Withheld or Unreadable when they can't be followed."""
    encoding = encoding_of(original.transfer_syntax)
    samples, mask, found = samples_of(elements, encoding), None, None
    if inflated is not None or original.pixel_offset is not None:
        reachable = has_plain_samples(looked.syntax or original.transfer_syntax)
        mask = image_bits(samples, elements, encoding, reachable=reachable, cleared=looked.without_overlays)
    if original.transfer_syntax not in DEFLATED and not looked.retouched:
        proof = _proof(original.transfer_syntax, elements, looked, pictures)
        found = survey_pixels(source, original, samples, mask, proof)
    return Passage(looked, samples, mask, found)


def _proof(syntax: str, elements: Elements, looked: Looked, pictures: Pictures | None) -> Proof | None:
    """What proves that frames of JPEG-LS have no surplus: that the process decodes, or has decoded them."""
    if syntax not in JPEG_LS or pictures is None:
        return None
    if looked.passed:
        return lambda frame: True
    return partial(pictures.decodes, picture_of(elements, syntax, encoding_of(syntax)))
