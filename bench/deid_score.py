"""De-identification by the answer key: each option alone and all recommended ones, over planted corpora.

Every planted value is judged by the fate that the corpus' README gives it under exactly these options, as one of the
ten actions of the MIDI-B challenge with its weights (arXiv 2507.23608). What is withheld counts as not done in the
strict total. One corpus is made here, from ``DEID_SCORE_SEED``; the other is read from CAUSEWAY_TEST_DATA.
``DEID_SCORE_RUNS=basic,recommended`` scores those alone.
"""

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench.support import result, table, verdict
from tests.support.deid_corpus.corpus import write_corpus
from tests.support.deid_scoring.answer_key import AnswerKey
from tests.support.deid_scoring.running import Run, deidentify, told_by
from tests.support.deid_scoring.scoring import Score, score
from tests.support.deid_scoring.tally import ACTIONS

#: All that can be cleaned is cleaned, and what research needs is retained.
RECOMMENDED = frozenset(
    {
        "clean_pixel_data",
        "clean_graphics",
        "clean_structured_content",
        "clean_descriptors",
        "retain_longitudinal_modified_dates",
        "retain_patient_characteristics",
        "retain_safe_private",
    }
)
OPTIONS = (
    *sorted(RECOMMENDED),
    "retain_longitudinal_full_dates",
    "retain_device_identity",
    "retain_institution_identity",
    "retain_uids",
)
GOAL, MOST_WITHHELD = 99.93, 0.05
SEED, SIZE, PICTURES = 20261127, 3, 12
#: Failures that are shown one by one, for each run.
_SHOWN = 40


def runs() -> Iterator[tuple[str, frozenset[str]]]:
    """The basic profile, each option alone, and all recommended ones."""
    wanted = set(filter(None, os.environ.get("DEID_SCORE_RUNS", "").split(",")))
    every = [("basic", frozenset[str]()), *((one, frozenset({one})) for one in OPTIONS), ("recommended", RECOMMENDED)]
    yield from (run for run in every if not wanted or run[0] in wanted)


def main() -> int:
    """Score every corpus that is there."""
    goals: dict[str, bool] = {}
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, folder in _corpora(Path(scratch)).items():
            _score(name, AnswerKey.read(folder), goals, figures)
    result("deid_score", {}, figures)
    return verdict("deid_score", goals)


def _corpora(scratch: Path) -> dict[str, Path]:
    named = os.environ.get("CAUSEWAY_TEST_DATA")
    root = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    seed = int(os.environ.get("DEID_SCORE_SEED", SEED))
    own = write_corpus(scratch / "own", seed, size=SIZE, pictures=PICTURES, installed_fonts=True)
    planted = root / "deid" / "planted"
    return {f"own corpus {seed}": own} | ({"planted": planted} if planted.is_dir() else {})


def _score(corpus: str, key: AnswerKey, goals: dict[str, bool], figures: dict[str, object]) -> None:
    rows = []
    for name, options in runs():
        with tempfile.TemporaryDirectory() as folder:
            run = deidentify(key, Path(folder), options)
        found = score(key, run.outputs, run.withheld, options)
        rows.append(_row(name, found))
        figures[f"{corpus}/{name}"] = _figures(found)
        _show(f"{corpus}, {name}", found)
        goals |= _goals(f"{corpus}, {name}", found, run, is_recommended=name == "recommended")
        goals[f"{corpus}, {name}: names of files tell nothing"] = not told_by(run.names, key, options)
    print()
    table(("options", "out", "withheld", "lost", "released", "strict", *ACTIONS), rows)


def _figures(found: Score) -> dict[str, object]:
    return {
        "released": round(found.released.total(), 3),
        "strict": round(found.strict.total(), 3),
        "withheld": len(found.withheld),
        "pixels": {name: [done, all_, round(bound, 3)] for name, done, all_, _share, bound in found.recall()},
    }


def _row(name: str, found: Score) -> tuple[object, ...]:
    rates = (found.released.rate(action) for action in ACTIONS)
    return (
        name,
        found.files - len(found.withheld) - len(found.lost),
        len(found.withheld),
        len(found.lost),
        f"{found.released.total():.3f}",
        f"{found.strict.total():.3f}",
        *("–" if rate is None else f"{100 * rate:.2f}" for rate in rates),
    )


def _show(name: str, found: Score) -> None:
    print(f"\n{name}: withheld {dict(Counter(found.withheld.values()))}")
    for action, where, why in found.released.failures[:_SHOWN]:
        print(f"  {action}: {where}: {why}")
    if len(found.released.failures) > _SHOWN:
        print(f"  … {len(found.released.failures) - _SHOWN} more")
    for modality, done, all_, share, bound in found.recall():
        print(f"  pixels {modality}: {done} of {all_} hidden, {share:.3f}, at least {bound:.3f} (95 %)")
    sys.stdout.flush()


def _goals(name: str, found: Score, run: Run, *, is_recommended: bool) -> dict[str, bool]:
    removed = found.released.failed("text_removed", "date_shifted", "uid_changed", "pixels_hidden")
    goals = {
        f"{name}: exit status 0": run.status == 0,
        f"{name}: no survivor": not removed,
        f"{name}: nothing lost": not found.lost,
    }
    if is_recommended:
        goals[f"{name}: at most {MOST_WITHHELD:.0%} withheld"] = found.share_withheld <= MOST_WITHHELD
        goals[f"{name}: above {GOAL} % of what is released"] = found.released.total() > GOAL
    return goals
