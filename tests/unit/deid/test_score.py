"""The scorer can fail: a clean run reaches all, and each kind of carelessness is found out."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.filewriter import dcmwrite

from tests.support.deid_corpus.corpus import write_corpus
from tests.support.deid_scoring.answer_key import AnswerKey
from tests.support.deid_scoring.pictures import is_hidden, is_retained, mask_of
from tests.support.deid_scoring.running import Run, deidentify, told_by
from tests.support.deid_scoring.scoring import Score, score
from tests.support.deid_scoring.tally import Tally, lower_bound

NONE: frozenset[str] = frozenset()

#: The corpus and the run are made once.
pytestmark = pytest.mark.xdist_group("deid-score")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> AnswerKey:
    """A small corpus of our own; needs no font but the one that comes with Pillow."""
    return AnswerKey.read(write_corpus(tmp_path_factory.mktemp("corpus"), seed=11))


@pytest.fixture(scope="module")
def run(key: AnswerKey, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The command over it, without options."""
    return deidentify(key, tmp_path_factory.mktemp("run"), NONE)


def changed(outputs: Mapping[str, bytes], name: str, change: Any) -> dict[str, bytes]:
    """The outputs with one changed by a function."""
    dataset = dcmread(BytesIO(outputs[name]))
    change(dataset)
    file = BytesIO()
    dcmwrite(file, dataset, enforce_file_format=True)
    return {**outputs, name: file.getvalue()}


def judged(key: AnswerKey, outputs: Mapping[str, bytes], run: Run, options: frozenset[str] = NONE) -> Score:
    return score(key, outputs, run.withheld, options)


def test_a_clean_run_reaches_everything_and_loses_no_file(key: AnswerKey, run: Run) -> None:
    found = judged(key, run.outputs, run)
    assert found.released.failures == []
    assert (found.lost, run.status, told_by(run.names, key, NONE)) == ([], 0, [])
    assert sum(found.released.asked.values()) > 1000


def test_another_process_with_the_same_key_writes_the_same_bytes(
    key: AnswerKey, run: Run, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever order sets have in it (PYTHONHASHSEED)."""
    monkeypatch.setenv("PYTHONHASHSEED", "4711")
    again = deidentify(key, tmp_path_factory.mktemp("again"), NONE, keys=run.keys)
    assert (again.outputs, again.withheld, again.names) == (run.outputs, run.withheld, run.names)


def test_a_copy_of_everything_is_found_out(key: AnswerKey, run: Run) -> None:
    copies = {entry["file"]: (key.folder / entry["file"]).read_bytes() for entry in key.files}
    found = score(key, copies, {}, frozenset({"clean_pixel_data"}))
    rates = {action: found.released.rate(action) for action in ("date_shifted", "uid_changed", "pixels_hidden")}
    assert max(rates.values(), key=lambda rate: rate or 0) == 0
    assert (found.released.rate("text_removed") or 0) < 0.05
    assert found.released.total() < 35
    assert told_by([entry["sop"] for entry in key.files], key, NONE)


def test_no_output_is_no_success(key: AnswerKey, run: Run) -> None:
    found = score(key, {}, {}, NONE)
    assert found.lost == [entry["file"] for entry in key.files]
    assert found.strict.total() == 0


def test_what_is_withheld_counts_as_not_done(key: AnswerKey, run: Run) -> None:
    assert run.withheld
    found = judged(key, run.outputs, run)
    assert found.strict.total() < found.released.total()


def _a_name_in_a_comment(dataset: Dataset) -> None:
    dataset.ImageComments = "seen: " + _FAMILY


def _other_uid(dataset: Dataset) -> None:
    dataset.StudyInstanceUID = "1.2.3.4.5"


def _other_patient(dataset: Dataset) -> None:
    dataset.PatientID = "SOMEBODY"


def _no_statement(dataset: Dataset) -> None:
    del dataset.PatientIdentityRemoved


def _no_thickness(dataset: Dataset) -> None:
    del dataset.SliceThickness


def _original_uid(dataset: Dataset) -> None:
    dataset.SOPInstanceUID = _SOP


def _pixels(dataset: Dataset) -> None:
    dataset.PixelData = bytes(len(dataset.PixelData))


_FAMILY, _SOP = "", ""


@pytest.mark.parametrize(
    ("change", "action"),
    [
        (_a_name_in_a_comment, "text_removed"),
        (_original_uid, "uid_changed"),
        (_other_patient, "patid_consistent"),
        (_no_statement, "tag_retained"),
        (_no_thickness, "text_retained"),
        (_pixels, "pixels_retained"),
    ],
)
def test_one_careless_file_is_found(
    key: AnswerKey, run: Run, monkeypatch: pytest.MonkeyPatch, change: Any, action: str
) -> None:
    entry = next(each for each in key.files if each["kind"] == "dates")
    monkeypatch.setattr(f"{__name__}._FAMILY", next(iter(entry["shared"])))
    monkeypatch.setattr(f"{__name__}._SOP", entry["sop"])
    found = judged(key, changed(run.outputs, entry["file"], change), run)
    assert {failure[0] for failure in found.released.failures} >= {action}
    assert found.released.total() < 100


def test_one_new_uid_for_two_is_found(key: AnswerKey, run: Run) -> None:
    one, two = [each["file"] for each in key.files if each["kind"] == "series"]
    other = dcmread(BytesIO(run.outputs[one])).SOPInstanceUID
    found = judged(key, changed(run.outputs, two, lambda dataset: setattr(dataset, "SOPInstanceUID", other)), run)
    assert found.released.failed("uid_consistent")


def test_dates_must_move_together(key: AnswerKey, run: Run) -> None:
    """The original's date in one attribute, another shift in the other."""
    (entry,) = [each for each in key.files if each["kind"] == "dates"]
    original = dcmread(key.folder / entry["file"])

    def shifted(dataset: Dataset) -> None:
        dataset.StudyDate, dataset.SeriesDate = original.StudyDate, "20200101"

    options = frozenset({"retain_longitudinal_modified_dates"})
    found = judged(key, changed(run.outputs, entry["file"], shifted), run, options)
    whys = [why for _action, where, why in found.released.failed("date_shifted") if entry["file"] in where]
    assert "date_shifted: it is the same" in whys


@pytest.mark.parametrize(("part", "is_found"), [(0.0, True), (0.6, True), (1.0, False)])
def test_lettering_that_is_half_hidden_can_be_read(key: AnswerKey, part: float, is_found: bool) -> None:
    name = next(entry["file"] for entry in key.files if entry["boxes"])
    image = dcmread(key.folder / name)
    before = image.pixel_array.reshape(1, image.Rows, image.Columns, -1).astype(np.int64)
    for box in key.pixels[name]["boxes"]:
        after = before.copy()
        x0, y0, x1, y1 = box["box"]
        after[:, y0:y1, x0 : x0 + int((x1 - x0) * part)] = 0
        assert is_hidden(before, after, box) is not is_found
        assert is_retained(before, after, [box])
    assert not is_retained(before, before + 1, key.pixels[name]["boxes"])
    assert not is_retained(before, after, []) or not part


def test_every_mask_is_in_its_picture(key: AnswerKey) -> None:
    for name, told in key.pixels.items():
        image = dcmread(key.folder / name)
        for box in told["boxes"]:
            x0, y0, x1, y1 = box["box"]
            area = image.pixel_array.reshape(image.Rows, image.Columns, -1)[y0:y1, x0:x1, 0].astype(int)
            assert area[mask_of(box)].mean() > 1.5 * area[~mask_of(box)].mean()


def test_a_corpus_is_the_same_for_the_same_seed_and_another_for_another(tmp_path: Path) -> None:
    one, same, other = (write_corpus(tmp_path / name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert (one / "key.json").read_bytes() == (same / "key.json").read_bytes()
    keys = [AnswerKey.read(folder) for folder in (one, other)]
    shared = [{needle for entry in each.files for needle in entry["shared"]} for each in keys]
    assert not shared[0] & shared[1]


@pytest.mark.parametrize(
    ("done", "asked", "bound"), [(0, 10, 0.0), (10, 10, 0.7411), (59, 60, 0.9229), (100, 100, 0.9705)]
)
def test_the_lower_bound_is_that_of_clopper_and_pearson(done: int, asked: int, bound: float) -> None:
    assert lower_bound(done, asked) == pytest.approx(bound, abs=5e-4)


def test_categories_have_their_weights() -> None:
    tally = Tally()
    for action, passed in (("text_removed", True), ("text_retained", False), ("tag_retained", True)):
        tally.note(action, passed, "here")
    assert tally.total() == pytest.approx(90)
