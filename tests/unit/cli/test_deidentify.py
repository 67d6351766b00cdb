"""``causeway deidentify``: what comes out, what is held back, and what is told of both."""

import json
import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from pydicom import dcmread
from pydicom.uid import SecondaryCaptureImageStorage
from typer.testing import CliRunner

from cli.deidentify.placing import Taken, put, unnamed
from cli.main import app
from services.deid.domain.pseudonyms import ProjectKey
from tests.support.instances import CANARY, as_file, make_instances

BASIC = "format: causeway.profile/1\nname: basic\nversion: '1'\nlegal_basis: gdpr_pseudonymised\n"


@dataclass(frozen=True)
class Desk:
    """A folder with originals, and the command on it."""

    folder: Path

    @property
    def originals(self) -> Path:
        return self.folder / "in"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def files(self) -> list[Path]:
        return sorted(path for path in self.out.rglob("*") if path.is_file())

    @property
    def map(self) -> dict[str, str]:
        return dict(json.loads((self.folder / "map.json").read_text()))

    @property
    def held(self) -> list[str]:
        return (self.folder / "held.txt").read_text().splitlines()

    def run(self, *words: str, project: str = "research", out: str = "out") -> Result:
        command = ["deidentify", str(self.originals), "-o", str(self.folder / out), "--project", project]
        command += ["--profile", str(self.folder / "profile.yaml"), "--keys", str(self.folder / "keys")]
        command += ["--map", str(self.folder / "map.json"), "--quarantine", str(self.folder / "held.txt")]
        return CliRunner().invoke(app, [*command, *words])

    def report(self, *words: str) -> tuple[int, dict[str, Any]]:
        told = self.run("--json", *words)
        return told.exit_code, json.loads(told.stdout)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Three slices of a planted patient, a screenshot, and a file that is none."""
    found = Desk(tmp_path)
    found.originals.mkdir()
    (tmp_path / "profile.yaml").write_text(BASIC)
    for image in make_instances(3, canary=CANARY):
        (found.originals / f"{CANARY.patient_id}-{image.InstanceNumber}.dcm").write_bytes(as_file(image))
    (shot,) = make_instances(1, canary=CANARY, SOPClassUID=SecondaryCaptureImageStorage, Modality="OT")
    (found.originals / "shot.dcm").write_bytes(as_file(shot))
    (found.originals / "README.txt").write_text("about the study")
    return found


def uids(desk: Desk, pattern: str) -> set[str]:
    """SOP Instance UIDs of originals."""
    return {str(dcmread(path).SOPInstanceUID) for path in desk.originals.glob(pattern)}


def test_what_is_clean_comes_out_and_the_rest_is_on_the_list(desk: Desk) -> None:
    status, report = desk.report()
    assert status == 0
    assert report["counts"] == {"out": 3, "withheld": 1, "skipped": 1, "failed": 0}
    assert set(desk.map) == uids(desk, "CANARY*")
    assert set(desk.held) == uids(desk, "shot*")
    assert {str(dcmread(path).SOPInstanceUID) for path in desk.files} == set(desk.map.values())


def patients(desk: Desk, *words: str, out: str) -> list[str]:
    """The Patient IDs of the slices, the first of which names its issuer."""
    assert desk.run(*words, out=out).exit_code == 0
    found = [dcmread(path) for path in (desk.folder / out).iterdir()]
    return [str(each.PatientID) for each in sorted(found, key=lambda each: int(each.InstanceNumber))]


def name_the_issuer(desk: Desk, number: int, issuer: str, **more: str) -> None:
    """Have one slice name its issuer."""
    path = sorted(desk.originals.glob("CANARY*"))[number]
    image = dcmread(path)
    image.IssuerOfPatientID = issuer
    for keyword, value in more.items():
        setattr(image, keyword, value)
    path.write_bytes(as_file(image))


def test_who_names_the_default_issuer_is_who_names_none(desk: Desk) -> None:
    """And whoever named none has the same pseudonym as before."""
    name_the_issuer(desk, 0, "ELSEWHERE", StudyInstanceUID="2.25.123")
    named, *rest = patients(desk, out="apart")
    assert len({*rest}) == 1 and named != rest[0]
    assert patients(desk, "--issuer", "ELSEWHERE", out="one") == [rest[0]] * 3
    assert patients(desk, "--issuer", "OTHER", out="other") == [named, *rest]


def test_a_study_whose_files_do_not_all_name_the_issuer_is_of_one_patient(desk: Desk) -> None:
    """A study has one patient; two issuers of the same number are two all the same."""
    before = patients(desk, out="before")
    name_the_issuer(desk, 0, "ELSEWHERE")
    assert patients(desk, out="one") == before
    name_the_issuer(desk, 1, "OTHER")
    assert len({*patients(desk, out="three")}) == 3


def test_nothing_of_an_original_is_in_a_result_its_name_or_the_report(desk: Desk) -> None:
    answer = desk.run("--json", "--by-series")
    told = json.loads(answer.stdout)
    for each in told["inputs"]:
        del each["path"]  # the operator's own
    shown = json.dumps(told) + "".join(str(path.relative_to(desk.out)) for path in desk.files)
    content = shown.encode() + b"".join(path.read_bytes() for path in desk.files)
    assert [value for value in (*CANARY.values, *uids(desk, "*.dcm")) if value.encode() in content] == []


def test_results_lie_in_folders_of_their_series_if_asked(desk: Desk) -> None:
    desk.run("--by-series")
    folders = {path.parent.name for path in desk.files}
    assert folders == {str(dcmread(path).SeriesInstanceUID) for path in desk.files}


def test_a_repeat_changes_nothing_and_another_project_has_nothing_in_common(desk: Desk) -> None:
    assert desk.run().exit_code == 0
    before, mapped = [path.read_bytes() for path in desk.files], desk.map
    assert desk.run("--jobs", "2").exit_code == 0
    assert ([path.read_bytes() for path in desk.files], desk.map) == (before, mapped)
    assert desk.run(project="other", out="elsewhere").exit_code == 0
    assert not set(desk.map.values()) & set(mapped.values())


def test_several_processes_come_to_the_same(desk: Desk) -> None:
    for number, image in enumerate(make_instances(40)):
        (desk.originals / f"more{number}.dcm").write_bytes(as_file(image))
    assert desk.run("--jobs", "2").exit_code == 0
    together = {path.name: path.read_bytes() for path in desk.files}
    assert desk.run("--jobs", "1", out="alone").exit_code == 0
    assert {path.name: path.read_bytes() for path in (desk.folder / "alone").iterdir()} == together
    assert len(together) == 43


def test_where_ids_are_random_every_run_and_process_comes_to_the_same(desk: Desk) -> None:
    """Safe harbor: UIDs are drawn and kept in the map beside the key, without which they are other ones."""
    (desk.folder / "profile.yaml").write_text(BASIC.replace("gdpr_pseudonymised", "safe_harbor"))
    for image in make_instances(40):
        (desk.originals / f"{image.InstanceNumber}.dcm").write_bytes(as_file(image))
    assert desk.run("--jobs", "3").exit_code == 0
    first, files = desk.map, [path.read_bytes() for path in desk.files]
    assert desk.run(out="again").exit_code == 0
    assert desk.map == first
    assert [path.read_bytes() for path in sorted((desk.folder / "again").iterdir())] == files
    key = ProjectKey.load(desk.folder / "keys" / "research.key")
    assert not {key.uid(original) for original in first} & set(first.values())
    assert len({dcmread(path).StudyInstanceUID for path in desk.files}) == 2
    (desk.folder / "keys" / "research.map").unlink()
    assert desk.run(out="other").exit_code == 0
    assert not set(desk.map.values()) & set(first.values())


def test_another_file_of_the_same_name_is_left_alone(desk: Desk) -> None:
    desk.run()
    taken = desk.files[0]
    taken.write_bytes(b"somebody's")
    status, report = desk.report()
    (failed,) = [each for each in report["inputs"] if each["outcome"] == "failed"]
    assert (status, taken.read_bytes()) == (1, b"somebody's")
    assert failed["reason"] == f"another file has its name already: {taken.name}"


def test_only_whole_files_have_names(tmp_path: Path) -> None:
    """A file that cannot be written whole leaves nothing."""

    class Broken(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        put(Broken(b"x"), tmp_path / "a.dcm")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_came_in_between_is_compared(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"same")
    put(BytesIO(b"same"), tmp_path / "a.dcm")
    with pytest.raises(Taken):
        put(BytesIO(b"same and more"), tmp_path / "a.dcm")


def test_a_result_has_no_name_before_it_is_put_and_is_gone_without_one(tmp_path: Path) -> None:
    with unnamed(tmp_path) as first, unnamed(tmp_path) as second:
        first.write(b"clean")
        second.write(b"not so")
        assert list(tmp_path.iterdir()) == []
        put(first, tmp_path / "series" / "a.dcm")
        with pytest.raises(Taken):
            put(second, tmp_path / "series" / "a.dcm")
    assert [path.read_bytes() for path in tmp_path.rglob("*.dcm")] == [b"clean"]
    assert [path.name for path in (tmp_path / "series").iterdir()] == ["a.dcm"]


def test_where_every_file_has_a_name_results_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_TMPFILE")
    with unnamed(tmp_path) as result:
        result.write(b"clean")
        put(result, tmp_path / "a.dcm")
    assert [path.name for path in tmp_path.iterdir()] == ["a.dcm"]
    assert (tmp_path / "a.dcm").read_bytes() == b"clean"


def test_a_file_without_preamble_and_meta_is_taken(desk: Desk) -> None:
    (image,) = make_instances(1, canary=CANARY)
    whole = as_file(image)
    (desk.originals / "bare").write_bytes(whole[144 + int.from_bytes(whole[140:144], "little") :])
    status, report = desk.report()
    assert (status, report["counts"]["out"]) == (0, 4)
    assert desk.map[str(image.SOPInstanceUID)]


def test_what_is_no_dicom_is_an_error_unless_its_name_says_so(desk: Desk) -> None:
    (desk.originals / "000001").write_text("no image at all")
    status, report = desk.report()
    (failed,) = [each for each in report["inputs"] if each["outcome"] == "failed"]
    assert (status, failed["reason"]) == (1, "not DICOM")


def test_a_file_that_is_cut_short_is_held_back(desk: Desk) -> None:
    (image,) = make_instances(1)
    (desk.originals / "cut.dcm").write_bytes(as_file(image)[:-100])
    status, report = desk.report()
    assert (status, report["reasons"]["unreadable-header"]) == (0, 1)
    assert str(image.SOPInstanceUID) in desk.held


def test_a_key_is_for_its_owner_alone(desk: Desk) -> None:
    desk.run()
    (key,) = (desk.folder / "keys").iterdir()
    assert (key.name, key.stat().st_mode & 0o777) == ("research.key", 0o600)
    assert (desk.folder / "map.json").stat().st_mode & 0o777 == 0o600
    key.chmod(0o644)
    answer = desk.run()
    assert (answer.exit_code, "chmod 600" in answer.stderr) == (2, True)


@pytest.mark.parametrize(
    ("profile", "words", "told"),
    [
        ("- no mapping", (), "the profile"),
        (BASIC + "options: [clean_everything]", (), "clean_everything"),
        (BASIC, ("--project", "Not A Name"), "a project is named by"),
        (BASIC, ("-o", "profile.yaml"), "not a folder"),
        (BASIC, ("-o", "in/out"), "lies in what is to be de-identified"),
        (BASIC, ("-o", "/proc/none/out"), "nothing can be written to /proc/none/out: No such file"),
        (BASIC, ("--map", "/proc/none/map.json"), "nothing can be written to /proc/none: No such file"),
        (BASIC, ("--quarantine", "in"), "in is a folder, and should be a file"),
        (BASIC, ("in/shot.dcm", "--map", "in/shot.dcm"), "would be written over"),
        (BASIC, ("--profile", "in/shot.dcm"), "in/shot.dcm cannot be read: no text"),
        (BASIC, ("--devices", "none.yaml"), "none.yaml cannot be read: No such file"),
        (BASIC, ("--devices", "profile.yaml"), "profile.yaml:1: unknown key 'format' in the catalogue"),
        (BASIC, ("--devices", "in/shot.dcm"), "in/shot.dcm cannot be read: no text"),
        (
            BASIC,
            ("--keys", "profile.yaml"),
            "cannot be read or made, or is none of 32 bytes: profile.yaml/research.key",
        ),
        (BASIC, ("--recognizer", "none.such:thing"), "none.such:thing is no recognizer: ModuleNotFoundError"),
        (BASIC, ("--recognizer", "json:dumps"), "a recognizer has a method spans(text)"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_done(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, profile: str, words: tuple[str, ...], told: str
) -> None:
    monkeypatch.chdir(desk.folder)
    (desk.folder / "profile.yaml").write_text(profile)
    answer = desk.run(*words)
    assert (answer.exit_code, told in " ".join(answer.stderr.split())) == (2, True), answer.stderr
    assert desk.files == []


def test_a_map_that_is_none_is_told_before_anything_is_done(desk: Desk) -> None:
    """Without it every input would be held back for a reason that is none of its own."""
    (desk.folder / "profile.yaml").write_text(BASIC.replace("gdpr_pseudonymised", "safe_harbor"))
    (desk.folder / "keys").mkdir()
    (desk.folder / "keys/research.map").write_bytes(bytes(range(256)) * 20)
    answer = desk.run()
    assert (answer.exit_code, "or is none" in answer.stderr, desk.files) == (2, True, []), answer.stderr


def test_what_is_held_back_on_no_list_is_no_success(desk: Desk) -> None:
    """Whoever looks at the status alone would take all for out."""
    profile, keys = str(desk.folder / "profile.yaml"), str(desk.folder / "keys")
    places = ["deidentify", str(desk.originals), "-o", str(desk.out), "--profile", profile, "--keys", keys]
    answer = CliRunner().invoke(app, [*places, "--project", "research"])
    assert (answer.exit_code, len(desk.files)) == (1, 3)
    assert "3 out, 1 withheld (1 pixels-unproven), 1 skipped" in answer.stdout
    assert "say --quarantine FILE" in answer.stderr
    (desk.originals / "shot.dcm").unlink()
    assert CliRunner().invoke(app, [*places, "--project", "research"]).exit_code == 0


def test_a_new_key_is_told_of_once(desk: Desk) -> None:
    """So that it is backed up, and that a mistyped name is seen."""
    assert [f"{desk.folder}/keys/research.key" in desk.run().stderr.replace("\n", "") for _ in range(2)] == [
        True,
        False,
    ]


class Ward:
    """A recognizer that knows a word which is a ward's name here."""

    def spans(self, text: str) -> list[tuple[int, int, str]]:
        start = text.find("Abdomen")
        return [(start, start + 7, "ward")] if start >= 0 else []


def test_a_recognizer_is_asked_in_every_process(desk: Desk) -> None:
    (desk.folder / "profile.yaml").write_text(BASIC + "options: [clean_descriptors]\n")
    for image in make_instances(40, SeriesDescription="CT Abdomen"):
        (desk.originals / f"{image.InstanceNumber}.dcm").write_bytes(as_file(image))
    named = "tests.unit.cli.test_deidentify:Ward"
    for words, expected in ((("--jobs", "1"), "CT Abdomen"), (("--jobs", "2", "--recognizer", named), "CT")):
        assert desk.run(*words, out=words[1]).exit_code == 0
        found = [dcmread(path) for path in (desk.folder / words[1]).iterdir()]
        assert {one.SeriesDescription for one in found if "SeriesDescription" in one and one.SeriesDescription} == {
            expected
        }


def test_a_file_that_is_not_there_is_wrong_usage(desk: Desk) -> None:
    answer = desk.run(str(desk.folder / "nowhere"))
    assert (answer.exit_code, "no such file or folder" in answer.stderr) == (2, True)


def test_a_name_in_another_character_set_is_told_and_ends_nothing(desk: Desk) -> None:
    """File systems keep bytes, whatever they mean."""
    (desk.originals / "shot.dcm").rename(os.fsdecode(os.fsencode(desk.originals) + b"/M\xfcller.dcm"))
    code, report = desk.report()
    assert code == 0
    assert [one["outcome"] for one in report["inputs"] if one["path"].endswith("M\\xfcller.dcm")] == ["withheld"]
    assert len(desk.files) == 3
