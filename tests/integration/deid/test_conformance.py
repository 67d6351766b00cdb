"""What goes out is no less conformant than what came in: dciodvfy finds no error that the original had not."""

import csv
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.support.corpus import data_dir
from tests.support.dciodvfy import PROGRAM, new_errors
from tests.support.deid_corpus.corpus import write_corpus
from tests.support.deid_scoring.running import ROOT, write_profile

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs dciodvfy (Debian: dicom3tools)")

RECOMMENDED = (
    "clean_pixel_data",
    "clean_graphics",
    "clean_structured_content",
    "clean_descriptors",
    "retain_longitudinal_modified_dates",
    "retain_patient_characteristics",
    "retain_safe_private",
)


def released(paths: list[Path], folder: Path, options: tuple[str, ...]) -> dict[Path, Path]:
    """Originals and what came of them, under a profile with these options."""
    folder.mkdir(exist_ok=True)
    profile = write_profile(folder / "profile.yaml", options)
    command = [sys.executable, "-m", "cli.main", "deidentify", *map(str, paths), "-o", str(folder / "out"), "--json"]
    command += ["--profile", str(profile), "--project", "conformance", "--keys", str(folder / "keys"), "--jobs", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    inputs = json.loads(done.stdout)["inputs"]
    return {Path(one["path"]): folder / "out" / one["output"] for one in inputs if one["outcome"] == "out"}


def worse(pairs: dict[Path, Path]) -> dict[str, list[str]]:
    """Errors that only the results have, and in which of them."""
    found: dict[str, list[str]] = defaultdict(list)
    for original, result in pairs.items():
        for error in new_errors(original, result):
            found[error].append(original.name)
    return dict(found)


@pytest.mark.parametrize("options", [(), RECOMMENDED], ids=["basic", "recommended"])
def test_nothing_is_wrong_with_a_corpus_of_ours_that_was_not(tmp_path: Path, options: tuple[str, ...]) -> None:
    pairs = released([write_corpus(tmp_path / "corpus", seed=21)], tmp_path / "run", options)
    assert len(pairs) >= 15
    assert worse(pairs) == {}


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("options", [(), RECOMMENDED], ids=["basic", "recommended"])
def test_nothing_is_wrong_with_the_planted_corpus_that_was_not(tmp_path: Path, options: tuple[str, ...]) -> None:
    pairs = released([data_dir() / "deid" / "planted"], tmp_path / "run", options)
    assert len(pairs) >= 35
    assert worse(pairs) == {}


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("options", [(), RECOMMENDED], ids=["basic", "recommended"])
def test_nothing_is_wrong_with_real_objects_that_was_not(tmp_path: Path, options: tuple[str, ...]) -> None:
    """One object for each SOP class, set and transfer syntax."""
    root = data_dir() / "dicom"
    chosen: dict[tuple[str, ...], Path] = {}
    with (root / "MANIFEST.csv").open() as file:
        for row in csv.DictReader(file):
            kind = row["set"], row["sop_class"], row["transfer_syntax"]
            chosen.setdefault(kind, root / row["path"])
    pairs = released([path for path in chosen.values() if path.exists()], tmp_path / "run", options)
    assert len(pairs) >= 30
    assert worse(pairs) == {}
