"""``causeway deidentify`` on objects whose SOP Instance UID is missing, or is none."""

import json
from pathlib import Path
from typing import Any

from pydicom.config import disable_value_validation as writing_anything
from pydicom.uid import SecondaryCaptureImageStorage
from typer.testing import CliRunner

from cli.main import app
from tests.support.instances import as_file, make_instances

BASIC = "format: causeway.profile/1\nname: basic\nversion: '1'\nlegal_basis: gdpr_pseudonymised\n"


def run(folder: Path, *files: bytes) -> tuple[int, dict[str, Any]]:
    """The status and the report of a run over ``files``; its map and list lie in ``folder``."""
    (folder / "in").mkdir()
    (folder / "profile.yaml").write_text(BASIC)
    for number, file in enumerate(files):
        (folder / "in" / f"{number}.dcm").write_bytes(file)
    named = {"-o": "out", "--profile": "profile.yaml", "--keys": "keys", "--map": "map.json", "--quarantine": "held"}
    places = [word for option, name in named.items() for word in (option, str(folder / name))]
    told = CliRunner().invoke(app, ["deidentify", str(folder / "in"), "--project", "trial", "--json", *places])
    return told.exit_code, json.loads(told.stdout)


def test_an_object_that_only_its_file_meta_names_does_not_go_out(tmp_path: Path) -> None:
    """Its copies would have no SOP Instance UID, and none that the map could name."""
    (image,) = make_instances(1)
    named = as_file(image)
    del image.SOPInstanceUID
    bare = as_file(image)
    assert b"\2\0\3\0UI" in bare and b"\x08\0\x18\0UI" not in bare
    status, report = run(tmp_path, named, bare)
    assert (status, report["counts"]) == (1, {"out": 1, "withheld": 0, "skipped": 0, "failed": 1})
    (failed,) = [each for each in report["inputs"] if each["outcome"] == "failed"]
    assert failed["reason"].startswith("no SOP Instance UID")
    assert "" not in json.loads((tmp_path / "map.json").read_text()).values()


def test_each_line_of_the_list_is_one_uid(tmp_path: Path) -> None:
    """Whatever an object is called: what breaks lines elsewhere is escaped as it is in the report."""
    (image,) = make_instances(1, SOPClassUID=SecondaryCaptureImageStorage, Modality="OT")
    with writing_anything():
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = "1.2.3\n9.9.9"
        file = as_file(image)
    status, report = run(tmp_path, file)
    assert (status, report["counts"]["withheld"]) == (0, 1)
    assert (tmp_path / "held").read_text() == "1.2.3\\n9.9.9\n"
