"""What cannot be cleaned yet does not go out, and says why by a code."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, partial

from services.deid.domain.cleaning import SOP_CLASS, text_of
from services.deid.domain.dataset import PIXEL_DATA, Elements
from services.deid.domain.marks import BURNED_IN
from services.deid.domain.tables import shipped
from shared.errors import Unprocessable


class Reason(StrEnum):
    """Why an instance was withheld; the codes of ``instances.quarantined`` (docs/formats.md)."""

    BURNED_IN = "burned-in"  # the object itself says that text is burned into the pixels
    PIXELS_UNPROVEN = "pixels-unproven"  # a kind of picture that often has text, not examined yet
    OVERLAY_IN_PIXELS = "overlay-in-pixels"  # an overlay lies in the pixels where it can't be cleared
    PIXELS_UNREADABLE = "pixels-unreadable"  # frames that can't be decoded, so nobody knows what they show
    TEXT_LEFT = "text-left"  # text was found again where it had been blanked, or next to it
    VIDEO = "video"
    SECONDARY_CAPTURE = "secondary-capture"  # the profile lets none out
    UNKNOWN_DEVICE = "unknown-device"  # the profile asks for devices of the catalogue
    FACE = "face"  # it may show a face, and the profile holds what does
    CODE_STREAM_TEXT = "code-stream-text"  # compressed pixels that can't be followed to their end
    UNKNOWN_COMPRESSION = "unknown-compression"  # pixels in a transfer syntax that nothing here can read
    WAVEFORM = "waveform-content"  # sound, or signals where an object of its class has none
    UNKNOWN_SOP_CLASS = "unknown-sop-class"
    HELD_BY_PROFILE = "held-by-profile"  # the project's profile lets no object of this class out
    UNREADABLE_HEADER = "unreadable-header"
    TOO_LARGE = "too-large-to-inflate"
    IDENTIFIER_LEFT = "identifier-left"  # an identifier of the source stood in the header that was made
    SECOND_LOOK = "second-look"  # the second look found something of the source in what was about to go out
    FAILED = "failed-to-clean"  # anything unforeseen


class Withheld(Unprocessable):
    """This instance does not go out."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.code = reason


@dataclass(frozen=True)
class SopClasses:
    """The group of each SOP class that is listed in ``tables/sop_classes.yaml``."""

    group: Mapping[str, str]


@cache
def standard_classes() -> SopClasses:
    """The classes that ship with the service, read once."""
    document = shipped("sop_classes.yaml")
    return SopClasses({uid: group for group, listed in document.items() for uid in listed})


def standard_refusal(*, cleans_pixels: bool = False) -> Callable[[Elements], Reason | None]:
    """``reason_to_withhold`` by the classes that ship with the service; with pixels cleaned, or as they are."""
    return partial(reason_to_withhold, classes=standard_classes(), cleans_pixels=cleans_pixels)


_REASONS = {
    "pixels": Reason.PIXELS_UNPROVEN,
    "voice": Reason.WAVEFORM,
}
_GOES = ("volumes", "derived", "detector")
#: Objects without pixels: their contents are cleaned by what they are (content/contents.py).
_CLEANED = ("structured", "documents", "waveforms")

IMAGE_TYPE, CONVERSION_TYPE = 0x00080008, 0x00080064
PHOTOMETRIC = 0x00280004
WAVEFORM = 0x54000100


def reason_to_withhold(elements: Elements, classes: SopClasses, *, cleans_pixels: bool = False) -> Reason | None:
    """Why an object with this header may not go out, None when it may; the flag is believed only when it warns."""
    group = classes.group.get(text_of(elements, SOP_CLASS))
    present = {element.tag for element in elements}
    if group in _CLEANED:
        signals = WAVEFORM in present and group != "waveforms"
        return Reason.WAVEFORM if signals else Reason.PIXELS_UNPROVEN if present & PIXEL_DATA else None
    if group not in _GOES and not (cleans_pixels and group == "pixels"):
        return _REASONS.get(group or "", Reason.UNKNOWN_SOP_CLASS)
    if WAVEFORM in present:
        return Reason.WAVEFORM
    if cleans_pixels:
        return None
    flag = text_of(elements, BURNED_IN).upper()
    if flag == "YES":
        return Reason.BURNED_IN
    return Reason.PIXELS_UNPROVEN if group == "volumes" and is_picture(elements, flag) else None


def overlay_in_pixels(elements: Elements) -> bool:
    """True when an overlay plane has a bit position other than 0, or has no data of its own (PS3.3 section C.9.2)."""
    planes = {element.tag >> 16 for element in elements if element.tag >> 24 == 0x60}
    data = {element.tag >> 16 for element in elements if element.tag & 0xFF00FFFF == 0x60003000}
    positions = (element.value for element in elements if element.tag & 0xFF00FFFF == 0x60000102)
    return bool(planes - data) or any(value.strip(b"\0") for value in positions)


def is_picture(elements: Elements, flag: str) -> bool:
    """True for a screenshot in the clothes of a cross-section: converted, coloured, or secondary without a NO."""
    photometric = text_of(elements, PHOTOMETRIC) or "MONOCHROME"
    if text_of(elements, CONVERSION_TYPE) or not photometric.startswith("MONOCHROME"):
        return True
    return "SECONDARY" in text_of(elements, IMAGE_TYPE).split("\\")[1:2] and flag != "NO"
