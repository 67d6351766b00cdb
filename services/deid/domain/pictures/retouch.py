"""Which pixels of an object are blanked, and what its header says then."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple, Protocol

from services.deid.domain.pictures.boxes import Boxes
from services.deid.domain.pictures.frames import Frames
from services.deid.domain.pictures.picture import Picture
from services.deid.domain.pictures.syntaxes import blanked
from services.deid.domain.withholding import Reason, Withheld


class Care(StrEnum):
    """How closely pixels are looked at."""

    NEVER = "never"  # the class of the object has no text
    SIGNS = "signs"  # text is looked for where something is shaped like letters
    ALWAYS = "always"


@dataclass(frozen=True)
class Order:
    """What is to be done with one picture: how closely to look, what to blank unseen, which bits to clear."""

    picture: Picture
    care: Care
    regions: Boxes = ()
    cleared_bits: int = 0

    def of(self, picture: Picture) -> "Order":
        """The same for ``picture``."""
        return replace(self, picture=picture)


class Pictures(Protocol):
    """Decodes frames and finds text in them. Raises Withheld when a frame can't be decoded or text stays."""

    def examine(self, order: Order, frames: Iterable[bytes]) -> Boxes:
        """Where in the frames, as they are stored, something is to be blanked."""
        ...

    def clean(self, order: Order, boxes: Boxes, frames: Iterable[bytes], syntax: str) -> Iterator[bytes | None]:
        """Each frame in ``syntax`` with what is in the boxes blanked; None when it may stay as it is."""
        ...


class Retouched(NamedTuple):
    """An object whose pixels change: its frames as they go out (None: as they are), and their transfer syntax."""

    order: Order
    original: Frames
    frames: Iterator[bytes | None]
    syntax: str
    implicit: bool = False


def retouch(order: Order, frames: Frames, pictures: Pictures) -> Retouched | None:
    """What becomes of the pixels; None when they stay as they are."""
    boxes = pictures.examine(order, frames.all())
    if not boxes and not order.cleared_bits:
        return None
    syntax = blanked(order.picture.syntax)
    if syntax is None:
        raise Withheld(Reason.PIXELS_UNREADABLE)
    return Retouched(order, frames, pictures.clean(order, boxes, frames.all(), syntax), syntax)
