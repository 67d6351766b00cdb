"""The answer key's boxes of burned-in text, applied to pixels that go out (planted corpus: ``pixels`` of key.json)."""

import base64
import json
import zlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from services.deid.domain.part10 import Project, clean_file
from services.deid.domain.withholding import Withheld
from tests.unit.deid.originals import describe

#: Lettering that differs from what was blanked by less than this part of the range could not be seen before either.
UNSEEN = 0.02
#: A box counts as hidden when this part of its lettering is.
HIDDEN = 0.98
#: Pixels around a box that may go with it: blanking is by lines, with margins.
NEAR = 32


@dataclass
class PixelScore:
    """Boxes hidden and seen by modality, files withheld, and what part changed away from text."""

    hidden: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    boxes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    seen: list[str] = field(default_factory=list)
    withheld: dict[str, str] = field(default_factory=dict)
    changed: dict[str, float] = field(default_factory=dict)
    untouched: list[str] = field(default_factory=list)

    def recall(self) -> Mapping[str, tuple[int, int, float]]:
        """Hidden, all, and the lower bound of the 95 % interval, by modality and of all together."""
        counts = {name: (self.hidden[name], self.boxes[name]) for name in sorted(self.boxes)}
        counts["all"] = (sum(self.hidden.values()), sum(self.boxes.values()))
        return {name: (good, all_, wilson(good, all_)) for name, (good, all_) in counts.items()}


def wilson(good: int, all_: int, z: float = 1.959964) -> float:
    """The lower bound of Wilson's score interval for ``good`` of ``all_``."""
    if not all_:
        return 0.0
    share = good / all_
    centre = share + z * z / (2 * all_)
    spread = z * ((share * (1 - share) + z * z / (4 * all_)) / all_) ** 0.5
    return (centre - spread) / (1 + z * z / all_)


def score_pixels(folder: Path, project: Project) -> PixelScore:
    """De-identify every picture of the corpus in ``folder`` that its key tells pixels of."""
    found = PixelScore()
    for entry in json.loads((folder / "key.json").read_text())["pixels"]:
        source, sink = (folder / entry["file"]).read_bytes(), BytesIO()
        before = dcmread(BytesIO(source))
        if "PixelData" not in before:
            continue
        try:
            clean_file(BytesIO(source), describe(source), project, sink)
        except Withheld as refused:
            found.withheld[entry["file"]] = refused.reason
            continue
        after = dcmread(BytesIO(sink.getvalue()))
        if not entry["boxes"] and after.PixelData == before.PixelData:
            found.untouched.append(entry["file"])
        _judge(entry, str(before.Modality), frames_of(before), frames_of(after), found)
    return found


def frames_of(image: Dataset) -> NDArray[Any]:
    """Frames, rows, columns, samples."""
    array = image.pixel_array
    shape = (int(image.get("NumberOfFrames") or 1), image.Rows, image.Columns, image.get("SamplesPerPixel") or 1)
    return array.reshape(shape).astype(np.int64)


def _judge(
    entry: Mapping[str, Any], modality: str, before: NDArray[Any], after: NDArray[Any], found: PixelScore
) -> None:
    away = np.ones(before.shape[:3], np.bool_)
    span = max(int(before.max() - before.min()), 1)
    for box in entry["boxes"]:
        numbers = range(len(before)) if box["frames"] == "all" else box["frames"]
        left, top, right, bottom = box["box"]
        letters = _mask(box)
        for number in numbers:
            away[number, max(0, top - NEAR) : bottom + NEAR, max(0, left - NEAR) : right + NEAR] = False
        shares = [hidden(after[number, top:bottom, left:right], letters, span) for number in numbers]
        found.boxes[modality] += 1
        found.hidden[modality] += min(shares) >= HIDDEN
        if min(shares) < HIDDEN:
            found.seen.append(f"{entry['file']} {box['text']} {min(shares):.2f}")
    if entry["boxes"]:
        found.changed[entry["file"]] = float(((before != after).any(axis=3) & away).mean())
    elif (before != after).any():
        found.changed[entry["file"]] = float((before != after).any(axis=3).mean())


def hidden(box: NDArray[Any], letters: NDArray[np.bool_], span: int) -> float:
    """Which part of the lettering is as most of what lies between it (rows, columns, samples), as far as can be seen.

    Letters that are like each other alone are there still, in one brightness.
    """
    usual = np.median(box[~letters], axis=0)
    return float((np.abs(box[letters] - usual).max(axis=1) <= UNSEEN * span).mean())


def _mask(box: Mapping[str, Any]) -> NDArray[np.bool_]:
    left, top, right, bottom = box["box"]
    bits = np.unpackbits(np.frombuffer(zlib.decompress(base64.b64decode(box["mask"])), np.uint8))
    return bits[: (right - left) * (bottom - top)].reshape(bottom - top, right - left).astype(np.bool_)
