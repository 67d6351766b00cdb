"""How closely an object's pixels are looked at: a matter of its class, its kind and what it says of itself."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from services.deid.domain.cleaning import SOP_CLASS, text_of
from services.deid.domain.dataset import Elements, Encoding
from services.deid.domain.marks import BURNED_IN
from services.deid.domain.options import Option
from services.deid.domain.pictures.devices import Devices
from services.deid.domain.pictures.faces import standard_faces
from services.deid.domain.pictures.picture import picture_of
from services.deid.domain.pictures.retouch import Care, Order
from services.deid.domain.pictures.ultrasound import outside
from services.deid.domain.profile import Profile
from services.deid.domain.tables import shipped
from services.deid.domain.withholding import (
    IMAGE_TYPE,
    Reason,
    Withheld,
    is_picture,
    overlay_in_pixels,
    standard_classes,
    standard_refusal,
)


class Header(NamedTuple):
    """An object's header, its transfer syntax and how its data set is written."""

    elements: Elements
    syntax: str
    encoding: Encoding

    @property
    def sop_class(self) -> str:
        """Its SOP class."""
        return text_of(self.elements, SOP_CLASS)


@dataclass(frozen=True)
class Risks:
    """The table ``pictures.yaml``, and the group of each SOP class."""

    table: Any
    group: Any

    def order(self, header: Header, profile: Profile, devices: Devices, *, approved: bool = False) -> Order | None:
        """What is to be done with the picture of this header, None when its pixels go as they are.

        Raises Withheld when the profile lets no such picture out, unless a person saw and ``approved`` it. Moving
        pictures can't be shown to anybody here.
        """
        if header.syntax in self.table["video"]:
            raise Withheld(Reason.VIDEO)
        care, overlay = self._care(header), overlay_in_pixels(header.elements)
        if care is Care.NEVER and not overlay:
            return None
        captured = header.sop_class in self.table["secondary_capture"]
        if captured and not profile.pictures.secondary_capture and not approved:
            raise Withheld(Reason.SECONDARY_CAPTURE)
        picture = picture_of(*header)
        known = devices.regions(header.elements, picture)
        if care is Care.ALWAYS and known is None and profile.pictures.known_devices_only and not approved:
            raise Withheld(Reason.UNKNOWN_DEVICE)
        regions = known or ()
        if profile.pictures.only_ultrasound_regions and header.sop_class in self.table["ultrasound"]:
            regions += outside(header.elements, picture, header.encoding)
        return Order(picture, care, regions, picture.free_bits if overlay else 0, approved)

    def reread(self, header: Header) -> Order | None:
        """How the picture of a header that goes out is looked at once more, None when it is not."""
        care = self._care(header)
        return None if care is Care.NEVER else Order(picture_of(*header), care)

    def _care(self, header: Header) -> Care:
        care = Care(self.table["care"].get(self.group.get(header.sop_class, ""), Care.NEVER))
        flag = text_of(header.elements, BURNED_IN).upper()
        types = {value.strip().upper() for value in text_of(header.elements, IMAGE_TYPE).split("\\")}
        kinds = types & set(self.table["pictures"])
        if flag == "YES":
            return Care.ALWAYS
        if care is Care.SIGNS and (kinds or is_picture(header.elements, flag)):
            return Care.ALWAYS
        return care


@cache
def standard_risks() -> Risks:
    """The table that ships with the service, read once."""
    document = shipped("pictures.yaml")
    return Risks(document, standard_classes().group)


def refusal_of(profile: Profile, *, cleans_pixels: bool) -> Callable[[Elements], Reason | None]:
    """Why an object with a header may not go out under ``profile``, unless a person lets it; None when it may."""
    refuse = standard_refusal(cleans_pixels=cleans_pixels)
    if not profile.holds_faces:
        return refuse
    strict = profile.has(Option.CLEAN_VISUAL_FEATURES)

    def refuse_faces(elements: Elements) -> Reason | None:
        return refuse(elements) or (Reason.FACE if standard_faces().may_be_in(elements, strict=strict) else None)

    return refuse_faces
