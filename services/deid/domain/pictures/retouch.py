"""Which pixels of an object are blanked, and what its header says then."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple, Protocol

from services.deid.domain.pictures.boxes import Box, Boxes, without_repeats
from services.deid.domain.pictures.devices import Devices
from services.deid.domain.pictures.frames import Frames
from services.deid.domain.pictures.picture import Picture
from services.deid.domain.pictures.syntaxes import blanked, has_plain_samples
from services.deid.domain.withholding import Reason, Withheld


class Care(StrEnum):
    """How closely pixels are looked at."""

    NEVER = "never"  # the class of the object has no text
    SIGNS = "signs"  # text is looked for where something is shaped like letters
    ALWAYS = "always"


@dataclass(frozen=True)
class Order:
    """What is to be done with one picture: how closely to look, what to blank unseen, which bits to clear; and whether
    it goes out with what is left in it, as a person saw it."""

    picture: Picture
    care: Care
    regions: Boxes = ()
    cleared_bits: int = 0
    approved: bool = False

    def of(self, picture: Picture) -> "Order":
        """The same for ``picture``."""
        return replace(self, picture=picture)


class Found(NamedTuple):
    """Where text is: the boxes of each frame that was looked at, and those of frames that were looked at together."""

    by_frame: tuple[Boxes, ...]
    between: Boxes = ()

    def all(self) -> Boxes:
        """Every box of any frame."""
        return without_repeats(box for boxes in (*self.by_frame, self.between) for box in boxes)


class Pictures(Protocol):
    """Decodes frames and finds text in them. Raises Withheld when a frame can't be decoded or text stays."""

    @property
    def devices(self) -> Devices:
        """The catalogue of the site."""
        ...

    def examine(self, order: Order, frames: Iterable[bytes]) -> Found:
        """Where in the frames, as they are stored, text is."""
        ...

    def clean(self, order: Order, found: Found, frames: Iterable[bytes], syntax: str) -> Iterator[bytes | None]:
        """Each frame in ``syntax`` without text; None when it may stay as it is."""
        ...

    def decodes(self, picture: Picture, frame: bytes) -> bool:
        """True when the frame is decoded and none of its bytes is left over (of JPEG-LS; others forgive)."""
        ...

    def reread(self, order: Order, frames: Iterable[bytes]) -> Iterator[tuple[int, Box]]:
        """Each frame, from 0, with the boxes in which another engine finds text that is left."""
        ...


class Retouched(NamedTuple):
    """An object whose pixels change: its frames as they go out (None: as they are), and their transfer syntax."""

    order: Order
    original: Frames
    frames: Iterator[bytes | None]
    syntax: str
    implicit: bool = False


def retouch(order: Order, frames: Frames, pictures: Pictures) -> Retouched | None:
    """What becomes of the pixels; None when they stay as they are, or nothing of them but their free bits changes.

    Those are cleared where pixels are written (overlay_bits.Mask), but for frames that have to be decoded for it.
    """
    found = pictures.examine(order, frames.all())
    is_decoded = order.cleared_bits and not has_plain_samples(order.picture.syntax)
    if not found.all() and not order.regions and not is_decoded:
        return None
    syntax = blanked(order.picture)
    if syntax is None:
        raise Withheld(Reason.PIXELS_UNREADABLE)
    return Retouched(order, frames, pictures.clean(order, found, frames.all(), syntax), syntax)
