"""What the process does with each frame (pictures_process.py): look at it, blank it, or look at what goes out."""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.deid.adapters.codecs import Undecodable, decode, encode
from services.deid.adapters.text_detection import FIRST, SECOND, NetworkDetector
from services.deid.domain.content.overlay_bits import without_bits
from services.deid.domain.pictures.blanking import blank, is_blank, with_margin
from services.deid.domain.pictures.boxes import Box, Boxes, without_repeats
from services.deid.domain.pictures.detection import TextDetector
from services.deid.domain.pictures.display import for_people
from services.deid.domain.pictures.faint import lines, plane_of, text_in_noise, text_near_lines
from services.deid.domain.pictures.letters import shows_letters
from services.deid.domain.pictures.palette import coloured
from services.deid.domain.pictures.picture import Picture
from services.deid.domain.pictures.rendering import Grey, filled, greys, projectable, stretched
from services.deid.domain.pictures.retouch import Care
from services.deid.domain.pictures.series import Projection
from services.deid.domain.pictures.syntaxes import photometric_after

Answer = tuple[Mapping[str, Any], bytes]
#: Finds text in a picture, by how closely it is looked at (retouch.Care), its array and photometric interpretation.
_Look = Callable[[str, NDArray[Any], str], Boxes]
#: A faint line of which so much is found already is that one.
_KNOWN = 0.9
#: What is looked at around a box to see whether a frame has text there.
_AROUND = 24
#: So much of it has to lie there; what a network sees in the speckle beside it is none.
_HERE = 0.5


class Examiner:
    """Looks at one object's frames after the other."""

    def __init__(self) -> None:
        self._between = Projection()

    @cached_property
    def _first(self) -> TextDetector:
        return NetworkDetector(*FIRST)

    @cached_property
    def _second(self) -> TextDetector:
        return NetworkDetector(*SECOND)

    def answer(self, request: Mapping[str, Any], frame: bytes) -> Answer:
        """Do what ``request`` says with ``frame``."""
        picture = Picture(**request["picture"])
        if request["do"] == "decode":
            return {"decoded": _is_decodable(picture, frame)}, b""
        array, photometric = decode(picture, frame)
        if request["cleared_bits"]:
            array = without_bits(array, request["cleared_bits"])
        if request["do"] == "clean":
            return self._cleaned(request, picture, array, photometric)
        shown = _shown(picture, array, photometric)
        if request["do"] == "show":
            return _for_people(*shown)
        look = self._left if request["do"] == "reread" else self._text
        return self._examined(request, *shown, look), b""

    def _examined(
        self, request: Mapping[str, Any], array: NDArray[Any], photometric: str, look: _Look
    ) -> Mapping[str, Any]:
        """``boxes`` of this frame, and ``between`` of those before it that were not looked at singly."""
        if request["first"]:
            self._between = Projection()
        care, rows, columns = request["care"], *array.shape[:2]
        if not request["singly"]:
            if _looks(care, array) or (care == Care.SIGNS and lines(plane_of(array, photometric))):
                self._between.add(projectable(array, photometric))
            return {"boxes": (), "between": ()}
        between = [box for image in self._between.taken() for box in look(Care.ALWAYS, stretched(image), "")]
        # Letters are fainter among the brightest pixels of many frames.
        wide = without_repeats(box.widened(_AROUND // 2, rows, columns) for box in between)
        return {"boxes": look(care, array, photometric) if care != Care.NEVER else (), "between": wide}

    def _text(self, care: str, array: NDArray[Any], photometric: str) -> Boxes:
        """What the first network finds in this picture: as it is displayed, and in its noise."""
        found = _found(self._first, greys(array, photometric)) if _looks(care, array) else ()
        faint = _widened(text_in_noise(plane_of(array, photometric), self._first), array)
        return without_repeats((*found, *(box for box in faint if not is_blank(box, found, _KNOWN))))

    def _left(self, care: str, array: NDArray[Any], photometric: str) -> Boxes:
        """What the second network finds in a picture that goes out: in its noise, and as a risky one is displayed."""
        shown = text_near_lines(greys(array, photometric)[0], self._second) if care == Care.ALWAYS else ()
        return (*shown, *text_in_noise(plane_of(array, photometric), self._second))

    def _cleaned(self, request: Mapping[str, Any], picture: Picture, array: NDArray[Any], photometric: str) -> Answer:
        """The frame without text; nothing of it when it may stay as it is, or (``left``) when text stays."""
        shown = _shown(picture, array, photometric)
        boxes = tuple(Box(*box) for box in request["boxes"])
        boxes += tuple(box for box in (Box(*each) for each in request["maybe"]) if self._shows(*shown, box))
        syntax = request["syntax"]
        if not boxes and not request["cleared_bits"] and syntax == picture.syntax:
            return {"same": True}, b""
        if boxes:
            boxes, left = self._looked_again(greys(*shown), boxes)
            if left and not request["approved"]:
                return {"left": len(left)}, b""
        changed = blank(array, photometric, boxes, picture.palette)
        after = photometric_after(picture.syntax, syntax, picture.photometric)
        encoded = encode(picture, syntax, after, changed)
        _check(picture, syntax, after, changed, encoded)
        return {}, encoded

    def _looked_again(self, images: tuple[Grey, ...], boxes: Boxes) -> tuple[Boxes, Boxes]:
        """Also what another network finds in the pictures as they were; and what is left when that is blanked, too.

        What takes the place of text has edges, in which either network sees letters: what is left is what both see.
        """
        boxes += _unblanked(self._second, images, boxes)
        blanked = [filled(image, boxes) for image in images]
        left = [(image, box) for image in blanked for box in _unblanked(self._first, (image,), boxes)]
        return boxes, tuple(box for image, box in left if self._second.text_boxes(image, (box,)))

    def _shows(self, array: NDArray[Any], photometric: str, box: Box) -> bool:
        """True when this frame may have text in a box where another one has: most of what is found, or of the box."""
        around = box.widened(_AROUND, array.shape[0], array.shape[1])
        piece = array[around.top : around.bottom, around.left : around.right]
        left, top = around.left, around.top
        place = Box(box.left - left, box.top - top, box.right - left, box.bottom - top)
        found = self._text(Care.ALWAYS, piece, photometric)
        return any(is_blank(each, (place,), _HERE) or is_blank(place, (each,), _HERE) for each in found)


def _for_people(array: NDArray[Any], photometric: str) -> Answer:
    image = for_people(array, photometric)
    return {"shape": image.shape}, image.tobytes()


def _shown(picture: Picture, array: NDArray[Any], photometric: str) -> tuple[NDArray[Any], str]:
    """The picture with the colours of its palette, if it has one, and its photometric interpretation then."""
    return (array, photometric) if picture.palette is None else (coloured(array, picture.palette), "RGB")


def _is_decodable(picture: Picture, frame: bytes) -> bool:
    """Whether the codec takes the frame: each refuses with exceptions of its own."""
    try:
        decode(picture, frame)
    except Exception:
        return False
    return True


def _looks(care: str, array: NDArray[Any]) -> bool:
    """Whether text is looked for in all of this frame."""
    return care == Care.ALWAYS or (care == Care.SIGNS and shows_letters(array))


def _widened(boxes: Boxes, array: NDArray[Any]) -> Iterable[Box]:
    return (with_margin(box, array.shape[0], array.shape[1]) for box in boxes)


def _found(detector: TextDetector, images: Iterable[Grey]) -> Boxes:
    """Boxes with a margin, of all renderings of one picture."""
    return without_repeats(
        with_margin(box, image.shape[0], image.shape[1]) for image in images for box in detector.text_boxes(image)
    )


def _unblanked(detector: TextDetector, images: Iterable[Grey], boxes: Boxes) -> Boxes:
    """What is found of which hardly more than a half lies in ``boxes``."""
    return tuple(box for box in _found(detector, images) if not is_blank(box, boxes))


def _check(picture: Picture, syntax: str, photometric: str, array: NDArray[Any], encoded: bytes) -> None:
    """That an encoder gave back what it got: nothing is lost."""
    changes = {"syntax": syntax, "photometric": photometric}
    again, _ = decode(Picture(**{**picture.facts(), **changes}), encoded)
    if not np.array_equal(again, array):
        raise Undecodable
