"""Lines of letters of which a part is found: what is written in one brightness goes on in that.

A network may see letters on a plain ground and miss the next ones of the same line, in speckle or across an edge.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.deid.domain.pictures.boxes import Box, Mask
from services.deid.domain.pictures.rendering import Grey

#: A line is at least so many pixels high, and this many times as long.
_HIGH, _LENGTH = 5, 1.5
#: Greys so far apart are one brightness; the last bits of a compression that loses differ.
_ALIKE = 3
#: Of a line this part of the pixels is written in its brightness, in the rows beside it far less.
_WRITTEN, _TIMES = 0.04, 3.0
#: Of a word of large letters, with room around it, this part is drawn, and no more than that. A stroke is this part of
#: the height wide, and a row has so many.
_DRAWN, _FILLED, _THIN, _WIDE, _STROKES = 0.12, 0.3, 1 / 32, 0.4, 3.0
#: A piece, as long as the line is high, has letters when it has this part of the line's strokes, and at most so many
#: times as many: more is a ground of that brightness.
_LEAST, _MOST = 0.35, 2.5
#: A line goes on for so many pieces at most, and past one without letters.
_PIECES, _GAP = 16, 1


class _Line(NamedTuple):
    """What is around a line: its rows and those beside it, where its brightness is; and how dense its strokes are."""

    inside: Mask
    beside: Mask
    dense: float


def continued(box: Box, image: Grey) -> Box:
    """The box of a line of letters in ``image`` (rows, columns), longer while its strokes go on."""
    if box.width < box.height:
        turned = continued(Box(box.top, box.left, box.bottom, box.right), image.T)
        return Box(turned.top, turned.left, turned.bottom, turned.right)
    is_line = box.height >= _HIGH and box.width >= _LENGTH * box.height
    line = _line(box, image) if is_line else None
    if line is None:
        return box
    before = _beyond(line, range(box.left, 0, -box.height), -box.height)
    after = _beyond(line, range(box.right, image.shape[1], box.height), box.height)
    return Box(before if before is not None else box.left, box.top, after or box.right, box.bottom)


def is_written(box: Box, image: Grey) -> bool:
    """True when a box of ``image`` (rows, columns) has strokes side by side, as wide as those of letters so high.

    For what is too high for a line of text otherwise: heads and skeletons, in which a network sees letters, have few.
    Where nothing lies beside the box, as in a piece full of edges, nothing tells what is written.
    """
    if box.width < box.height:
        return is_written(Box(box.top, box.left, box.bottom, box.right), image.T)
    line = _line(box, image) if box.height >= _HIGH else None
    if line is None or not line.beside.size or not _DRAWN <= line.dense <= _FILLED:
        return False
    inner = line.inside[box.height // 4 : -(box.height // 4), box.left : box.right]
    edges = np.diff(np.pad(inner, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    lengths = np.flatnonzero((edges == -1).ravel()) - np.flatnonzero((edges == 1).ravel())
    strokes = (lengths >= max(2, box.height * _THIN)) & (lengths <= box.height * _WIDE)
    return float(strokes.sum()) >= _STROKES * len(inner)


def _line(box: Box, image: Grey) -> _Line | None:
    """None when nothing tells its letters from what is beside them."""
    half = max(3, box.height // 2)
    rows = image[max(0, box.top - half) : box.bottom + half].astype(np.int16)
    first = box.top - max(0, box.top - half)
    is_inside = np.zeros(len(rows), np.bool_)
    is_inside[first : first + box.height] = True
    part = rows[:, box.left : box.right]
    written = _shares(part[is_inside]) - _shares(part[~is_inside])
    strokes = _strokes(rows, int(written.argmax()))
    inside, beside = strokes[is_inside], strokes[~is_inside]
    dense = float(inside[:, box.left : box.right].mean())
    if dense < max(_WRITTEN, _TIMES * _mean(beside[:, box.left : box.right])):
        return None
    return _Line(inside, beside, dense)


def _shares(greys: NDArray[np.int16]) -> NDArray[np.float64]:
    """Which part of them is about as bright as each of 256 greys."""
    counts = np.bincount(greys.ravel(), minlength=256)
    return np.convolve(counts, np.ones(2 * _ALIKE + 1), "same") / max(1, greys.size)


def _strokes(rows: NDArray[np.int16], brightness: int) -> Mask:
    """Where two pixels next to each other have it: in noise few do."""
    alike = np.abs(rows - brightness) <= _ALIKE
    found = np.zeros(alike.shape, np.bool_)
    for one, other in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
        both = alike[one] & alike[other]
        found[one] |= both
        found[other] |= both
    return found


def _mean(mask: Mask) -> float:
    return float(mask.mean()) if mask.size else 0.0


def _beyond(line: _Line, starts: range, step: int) -> int | None:
    """The column up to which it goes on, from piece to piece; None when it does not."""
    end, gap = None, 0
    for start in starts[:_PIECES]:
        left, right = max(0, min(start, start + step)), max(start, start + step)
        dense = _mean(line.inside[:, left:right])
        least = max(_LEAST * line.dense, _TIMES * _mean(line.beside[:, left:right]))
        if least <= dense <= _MOST * line.dense:
            columns = np.flatnonzero(line.inside[:, left:right].any(0)) + left
            end, gap = (int(columns[0]) if step < 0 else int(columns[-1]) + 1), 0
        elif gap == _GAP:
            break
        else:
            gap += 1
    return end
