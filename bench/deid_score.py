"""De-identification by the answer key: each option alone and all recommended ones, over planted corpora.

Every planted value is judged by the fate that the corpus' README gives it under exactly these options, as one of the
ten actions of the MIDI-B challenge with its weights (arXiv 2507.23608). What is withheld counts as not done in the
strict total. ``DEID_SCORE_RUNS=basic,recommended`` scores those alone.
"""

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench.support import result, table, verdict
from tests.support.deid_scoring.answer_key import AnswerKey
from tests.support.deid_scoring.running import deidentify, told_by
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
#: Failures that are shown one by one, for each run.
_SHOWN = 40


def runs() -> Iterator[tuple[str, frozenset[str]]]:
    """The basic profile, each option alone, and all recommended ones."""
    yield "basic", frozenset()
    for option in OPTIONS:
        yield option, frozenset({option})
    yield "recommended", RECOMMENDED


def main() -> int:
    """Score every corpus that is there."""
    wanted = set(filter(None, os.environ.get("DEID_SCORE_RUNS", "").split(",")))
    goals: dict[str, bool] = {}
    figures: dict[str, object] = {}
    for corpus in _corpora():
        key = AnswerKey.read(corpus)
        rows = []
        for name, options in runs():
            if wanted and name not in wanted:
                continue
            with tempfile.TemporaryDirectory() as folder:
                run = deidentify(key, Path(folder), options)
            found = score(key, run.outputs, run.withheld, options)
            rows.append(_row(name, found))
            figures[f"{corpus.name}/{name}"] = {"released": found.released.total(), "strict": found.strict.total()}
            _show(name, found)
            goals |= _goals(f"{corpus.name}, {name}", found, run.status, is_recommended=name == "recommended")
            goals[f"{corpus.name}, {name}: names of files tell nothing"] = not told_by(run.names, key, options)
        table(("options", "out", "withheld", "lost", "released", "strict", *ACTIONS), rows)
    result("deid_score", {}, figures)
    return verdict("deid_score", goals)


def _corpora() -> list[Path]:
    named = os.environ.get("CAUSEWAY_TEST_DATA")
    folder = (Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data") / "deid" / "planted"
    return [folder] if folder.is_dir() else []


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


def _goals(name: str, found: Score, status: int, *, is_recommended: bool) -> dict[str, bool]:
    removed = found.released.failed("text_removed", "date_shifted", "uid_changed", "pixels_hidden")
    goals = {
        f"{name}: exit status 0": status == 0,
        f"{name}: no survivor": not removed,
        f"{name}: nothing lost": not found.lost,
    }
    if is_recommended:
        goals[f"{name}: at most {MOST_WITHHELD:.0%} withheld"] = found.share_withheld <= MOST_WITHHELD
        goals[f"{name}: above {GOAL} % of what is released"] = found.released.total() > GOAL
    return goals
