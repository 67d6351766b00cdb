"""Which transfer syntax a picture has when some of its pixels were blanked (PS3.5 annex A): never one that loses."""

from services.deid.domain.pictures.picture import Picture
from services.deid.domain.pixels import NATIVE

EXPLICIT_LITTLE, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
RLE, JPEG_LOSSLESS, JPEG_LOSSLESS_FIRST = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"
JPEG_LS, JPEG_2000 = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"

#: JPEG that loses: its picture is what every decoder shows, in RGB; stored native, few IODs allow another colour space.
RGB_WHEN_DECODED = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})

#: What there is an encoder without loss for stays what it is; the others become what decoders know best.
_BLANKED = {
    RLE: RLE,
    JPEG_LOSSLESS: JPEG_LOSSLESS_FIRST,
    JPEG_LOSSLESS_FIRST: JPEG_LOSSLESS_FIRST,
    JPEG_LS: JPEG_LS,
    "1.2.840.10008.1.2.4.81": JPEG_LS,
    JPEG_2000: JPEG_2000,
    "1.2.840.10008.1.2.4.91": JPEG_2000,
    "1.2.840.10008.1.2.4.201": JPEG_2000,
    "1.2.840.10008.1.2.4.202": JPEG_2000,
    "1.2.840.10008.1.2.4.203": JPEG_2000,
    "1.2.840.10008.1.2.4.50": EXPLICIT_LITTLE,
    "1.2.840.10008.1.2.4.51": EXPLICIT_LITTLE,
}


def is_encapsulated(syntax: str) -> bool:
    """True when frames are compressed one by one."""
    return syntax not in NATIVE and syntax != DEFLATED


def has_plain_samples(syntax: str) -> bool:
    """True when the bits of a sample are there without decoding: native, or in runs."""
    return syntax == RLE or not is_encapsulated(syntax)


def blanked(picture: Picture) -> str | None:
    """The transfer syntax after blanking, None when there is no way to decode the picture's.

    Samples of more than 16 bits or fewer than 8 are more than the encoders are known for.
    """
    target = picture.syntax if not is_encapsulated(picture.syntax) else _BLANKED.get(picture.syntax)
    if target is not None and is_encapsulated(target) and (picture.allocated > 16 or picture.stored < 8):
        return EXPLICIT_LITTLE
    return target


def photometric_after(syntax: str, target: str, photometric: str) -> str:
    """How colours are stored in ``target`` when they were ``photometric`` in ``syntax`` (PS3.5 section 8.2)."""
    if syntax == target and photometric != "YBR_ICT":
        return photometric
    if target == JPEG_2000:
        return "YBR_RCT" if photometric in ("YBR_ICT", "YBR_RCT") else photometric
    if syntax in RGB_WHEN_DECODED and photometric.startswith("YBR"):
        return "RGB"
    return "YBR_FULL" if photometric in ("YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420") else photometric
