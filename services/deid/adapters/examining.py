"""What the process does with each frame (pictures_process.py): look at it, or blank it and look again."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.deid.adapters.codecs import Undecodable, decode, encode
from services.deid.adapters.text_detection import FIRST, NetworkDetector
from services.deid.domain.pictures.blanking import blank, with_margin
from services.deid.domain.pictures.boxes import Box, Boxes, without_repeats
from services.deid.domain.pictures.detection import TextDetector
from services.deid.domain.pictures.picture import Picture
from services.deid.domain.pictures.rendering import greys
from services.deid.domain.pictures.syntaxes import photometric_after

Answer = tuple[Mapping[str, Any], bytes]


class Examiner:
    """Looks at one object's frames after the other."""

    @cached_property
    def _detector(self) -> TextDetector:
        return NetworkDetector(*FIRST)

    def answer(self, request: Mapping[str, Any], frame: bytes) -> Answer:
        """Do what ``request`` says with ``frame``."""
        picture = Picture(**request["picture"])
        array, photometric = decode(picture, frame)
        if request["do"] == "examine":
            return {"boxes": self._text(array, photometric)}, b""
        boxes = tuple(Box(*box) for box in request["boxes"])
        changed = blank(array, photometric, boxes)
        left = self._text(changed, photometric)
        changed = blank(changed, photometric, left)
        if left and (left := self._text(changed, photometric)):
            return {"left": left}, b""
        target = request["syntax"]
        after = photometric_after(picture.syntax, target, picture.photometric)
        encoded = encode(picture, target, after, changed, frame)
        self._check(picture, target, after, changed, encoded)
        return {}, encoded

    def _text(self, array: NDArray[Any], photometric: str) -> Boxes:
        rows, columns = array.shape[:2]
        found = (box for grey in greys(array, photometric) for box in self._detector.text_boxes(grey))
        return without_repeats(with_margin(box, rows, columns) for box in found)

    def _check(self, picture: Picture, syntax: str, photometric: str, array: NDArray[Any], encoded: bytes) -> None:
        """That an encoder gave back what it got: nothing is lost."""
        changes = {"syntax": syntax, "photometric": photometric}
        again, _ = decode(Picture(**{**picture.facts(), **changes}), encoded)
        if not np.array_equal(again, array):
            raise Undecodable
