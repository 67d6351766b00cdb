"""A whole run over a planted corpus, judged: every file out, or withheld and on the list."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydicom import dcmread

from tests.support.deid_scoring.answer_key import AnswerKey
from tests.support.deid_scoring.judging import Judge
from tests.support.deid_scoring.outputs import Output
from tests.support.deid_scoring.pictures import frames_of, is_hidden, is_retained
from tests.support.deid_scoring.tally import Tally, lower_bound

PIXELS = "clean_pixel_data"


@dataclass
class Score:
    """``released`` judges what came out, ``strict`` counts all that was asked of the rest as not done.

    ``boxes`` is per modality: how many burned-in texts of released files are hidden, and how many there are.
    """

    released: Tally
    strict: Tally
    files: int
    withheld: dict[str, str]
    lost: list[str]
    boxes: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def share_withheld(self) -> float:
        """Withheld files of all."""
        return len(self.withheld) / self.files if self.files else 0.0

    def recall(self) -> list[tuple[str, int, int, float, float]]:
        """Modality, hidden, all, share, and its 95 % lower bound."""
        return [(name, done, all_, done / all_, lower_bound(done, all_)) for name, (done, all_) in self.boxes.items()]


def score(key: AnswerKey, outputs: Mapping[str, bytes], withheld: Mapping[str, str], options: frozenset[str]) -> Score:
    """Judge the ``outputs`` by original file name; ``withheld`` says why for those that were held back."""
    judge, missing = Judge(key, options), Judge(key, options)
    boxes: dict[str, list[bool]] = defaultdict(list)
    for entry in key.files:
        name = entry["file"]
        if name in outputs:
            output = Output(name, outputs[name])
            judge.judge(entry, output)
            _pictures(key, output, judge.tally, options, boxes)
        else:
            missing.missing(entry, withheld.get(name, "no output"))
            if PIXELS in options:
                for _box in key.pixels.get(name, {}).get("boxes", ()):
                    missing.tally.note("pixels_hidden", False, name, withheld.get(name, "no output"))
    released = judge.agree()
    strict = Tally().add([released, missing.tally])
    counts = {name: (sum(found), len(found)) for name, found in sorted(boxes.items())}
    lost = [entry["file"] for entry in key.files if entry["file"] not in outputs and entry["file"] not in withheld]
    return Score(released, strict, len(key.files), dict(withheld), lost, counts)


def _pictures(
    key: AnswerKey, output: Output, tally: Tally, options: frozenset[str], found: dict[str, list[bool]]
) -> None:
    told = key.pixels.get(output.name)
    if told is None or "PixelData" not in output.dataset:
        return
    original = dcmread(key.folder / output.name)
    try:
        before, after = frames_of(original), frames_of(output.dataset)
    except Exception as error:
        tally.note("pixels_retained", False, output.name, f"cannot be decoded: {type(error).__name__}")
        return
    boxes = told["boxes"] if PIXELS in options else []
    planes = any(record.get("plane") for record in key.records.get(output.name, ()))
    if not planes:
        tally.note("pixels_retained", is_retained(before, after, boxes), output.name, "pixels away from text changed")
    for number, box in enumerate(boxes):
        hidden = is_hidden(before, after, box)
        tally.note("pixels_hidden", hidden, f"{output.name} box {number}", f"{box['style']} {box['px']} px")
        found[str(original.Modality)].append(hidden)
    if boxes:
        tally.note(
            "tag_retained", output.dataset.get("BurnedInAnnotation") == "NO", output.name, "Burned In Annotation"
        )
