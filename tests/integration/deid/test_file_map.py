"""The map beside a project's key, for files without a bus."""

import stat
import subprocess
import sys
from pathlib import Path

from services.deid.adapters.file_map import file_map
from services.deid.adapters.file_people import FilePeople
from services.deid.adapters.projects import key_of
from services.deid.domain.profile import LegalBasis, Profile

SECRET = bytes(range(32))
STRICT = Profile("strict", legal_basis=LegalBasis.SAFE_HARBOR)

_GIVE = """
import sys
from pathlib import Path
from tests.integration.deid.test_file_map import given
print(*[given(Path(sys.argv[1]), f"P{number}") for number in range(10)])
"""


def given(folder: Path, patient_id: str, profile: Profile = STRICT) -> str:
    """What a run of the command gives a patient."""
    with file_map(folder, "research") as people:
        return key_of(SECRET, profile, people).patient("H", patient_id, "1.2")


def test_a_random_pseudonym_is_the_same_in_every_run(tmp_path: Path) -> None:
    """In a file that nobody else reads, and that names nobody."""
    assert given(tmp_path, "PATIENT-4711") == given(tmp_path, "PATIENT-4711") != given(tmp_path, "PATIENT-4712")
    (path,) = tmp_path.glob("*.map")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"4711" not in path.read_bytes()


def test_a_random_uid_is_the_same_in_every_run(tmp_path: Path) -> None:
    """It is kept under an HMAC, so that the file names no original."""
    first, again = [key_of(SECRET, STRICT, FilePeople(tmp_path, "research")) for _ in range(2)]
    first.expect(("1.2.840.47.1", "1.2.840.47.2"))
    assert first.uid("1.2.840.47.1") == again.uid("1.2.840.47.1") != again.uid("1.2.840.47.2")
    (path,) = tmp_path.glob("research.map*")
    assert b"1.2.840.47" not in path.read_bytes()


def test_runs_at_once_give_the_same(tmp_path: Path) -> None:
    """Two processes, ten patients."""
    runs = [
        subprocess.Popen([sys.executable, "-c", _GIVE, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = {run.communicate()[0] for run in runs}
    assert [run.returncode for run in runs] == [0, 0]
    assert len(told) == 1
    assert len(set(told.pop().split())) == 10
