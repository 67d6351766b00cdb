"""Frames of one picture: which are looked at singly, and what the others show together."""

import numpy as np

from services.deid.domain.pictures.rendering import Grey

#: Frames that are looked at singly: all of a short picture, so many of a long one.
SINGLY = 16


def looked_at_singly(frames: int) -> frozenset[int]:
    """Numbers of frames, from 0, evenly spread, the first and the last among them."""
    if frames <= SINGLY:
        return frozenset(range(frames))
    return frozenset(round(number * (frames - 1) / (SINGLY - 1)) for number in range(SINGLY))


class Projection:
    """The brightest and the darkest of each pixel over frames: text that any of them has shows in one of the two."""

    def __init__(self) -> None:
        self._brightest: Grey | None = None
        self._darkest: Grey | None = None

    def add(self, grey: Grey) -> None:
        """Another frame, on the scale of the others."""
        if self._brightest is None or self._darkest is None:
            self._brightest, self._darkest = grey.copy(), grey.copy()
        else:
            np.maximum(self._brightest, grey, out=self._brightest)
            np.minimum(self._darkest, grey, out=self._darkest)

    def taken(self) -> tuple[Grey, ...]:
        """Both projections of what was added, nothing when nothing was; and it begins anew."""
        found = tuple(each for each in (self._brightest, self._darkest) if each is not None)
        self._brightest = self._darkest = None
        return found
