"""``causeway deidentify``: whom one file of a study names is searched for in all files of the call."""

from pathlib import Path

import pytest
from pydicom import dcmread

import cli.deidentify.studies as learning
from cli.deidentify.one import Input
from cli.deidentify.originals import find
from cli.deidentify.studies import Learnt, Patient, Studies
from cli.dicom_files import Outgoing, Problem, Skipped
from services.deid.domain.identifiers import Identifiers
from services.deid.domain.known_values import Noted
from services.deid.domain.names import Names
from services.deid.domain.person import Issuers
from shared.errors import RetryLater
from tests.support.instances import as_file, make_instances
from tests.unit.cli.test_deidentify import BASIC, Desk

STUDY = "2.25.1234567"
NOBODY = {"PatientName": "", "PatientID": "", "AccessionNumber": ""}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Forty slices that name nobody, all with a kernel that is called like the patient of the last file."""
    found = Desk(tmp_path)
    found.originals.mkdir()
    (tmp_path / "profile.yaml").write_text(BASIC)
    for image in make_instances(40, study_uid=STUDY, ConvolutionKernel="BROWN", **NOBODY):
        (found.originals / f"m{image.InstanceNumber:02d}.dcm").write_bytes(as_file(image))
    (last,) = make_instances(1, study_uid=STUDY, PatientName="Brown^Mary")
    (found.originals / "z.dcm").write_bytes(as_file(last))
    return found


def results(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def kernels(folder: Path) -> set[str | None]:
    return {dcmread(path).get("ConvolutionKernel") for path in folder.iterdir()} - {""}


def test_a_name_of_the_last_file_goes_out_of_the_first_in_whatever_order_and_number_of_processes(desk: Desk) -> None:
    assert desk.run("--jobs", "1", out="one").exit_code == 0
    assert (kernels(desk.folder / "one") & {"BROWN"}, len(results(desk.folder / "one"))) == (set(), 41)
    assert desk.run("--jobs", "3", out="three").exit_code == 0
    (desk.originals / "z.dcm").rename(desk.originals / "a.dcm")
    assert desk.run("--jobs", "2", out="first").exit_code == 0
    assert results(desk.folder / "one") == results(desk.folder / "three") == results(desk.folder / "first")
    (desk.originals / "a.dcm").unlink()
    assert desk.run("--jobs", "1", out="without").exit_code == 0
    assert kernels(desk.folder / "without") == {"BROWN"}


def test_the_second_look_looks_for_it_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Identifiers, "note_names", lambda *_: None)
    status, report = desk.report("--jobs", "1")
    assert (status, report["counts"]["out"], report["reasons"]) == (0, 1, {"second-look": 40})


def test_a_file_that_cannot_be_learnt_from_does_not_go_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whom it names could be written of in the others, were it read later after all."""

    def read(*_: object) -> None:
        raise RetryLater("work-area")

    monkeypatch.setattr(learning, "named_in", read)
    _, report = desk.report("--jobs", "1")
    assert (report["counts"]["out"], report["counts"]["withheld"]) == (0, 41)


def test_what_changes_between_being_learnt_from_and_being_cleaned_fails_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name could stand for another object by then, and the map would say that one became the other."""
    gone, cut, other, same = (desk.originals / f"m{number:02d}.dcm" for number in (1, 2, 3, 4))
    learn = learning.Studies.issuers

    def meanwhile(*given: object) -> Issuers:
        gone.unlink()
        cut.write_bytes(cut.read_bytes()[:300])
        other.write_bytes(same.read_bytes())
        return learn(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(learning.Studies, "issuers", meanwhile)
    status, report = desk.report("--jobs", "1")
    failed = {Path(one["path"]).name for one in report["inputs"] if one["outcome"] == "failed"}
    assert (status, failed, report["counts"]["out"]) == (1, {gone.name, cut.name, other.name}, 38)


def test_inputs_come_back_as_they_were_found_with_what_their_studies_name(desk: Desk) -> None:
    path = desk.originals / "z.dcm"
    outgoing = find(path)
    assert isinstance(outgoing, Outgoing)
    odd = Path("\udcff/M\\ller.dcm")
    inputs = [
        Input(outgoing, STUDY, "stamp"),
        Input(Problem(odd, "why"), ""),
        Input(Skipped(odd, "no"), ""),
        Input(outgoing),
    ]
    one, other = (Names(frozenset([Noted(0, "PN", name, ("", "ISO_IR 100"))])) for name in (b"M\xfc", b"B"))
    studies = Studies()
    studies.note(Learnt(inputs[:1], {STUDY: one, "2.25.9": other}, set()))
    studies.note(Learnt(inputs[1:], {STUDY: other}, set()))
    batches = list(studies.batches(2))
    assert [each for batch in batches for each in batch.inputs] == inputs
    assert [batch.names for batch in batches] == [{STUDY: Names(one.noted | other.noted)}, {}]
    (pixels,) = {each.found.pixels for batch in batches for each in batch.inputs if isinstance(each.found, Outgoing)}
    assert pixels == outgoing.pixels


def test_a_patient_id_with_one_issuer_and_with_none_in_a_study_is_one_patient() -> None:
    studies = Studies()
    told = [("1", "A", ""), ("1", "A", "X"), ("2", "A", "X"), ("3", "A", "X"), ("3", "A", "Y"), ("4", "A", "")]
    told += [("5", "A", ""), ("5", "A", "X"), ("5", "A", "Y")]
    studies.note(Learnt([], {}, {Patient(*each) for each in told}))
    assert studies.issuers("D") == Issuers("D", frozenset([("1", "X", "A")]))
