"""Projects as their profiles have them."""

from pathlib import Path

import pytest

from services.deid.adapters.profiles import FileProfiles
from services.deid.adapters.projects import FileProjects
from services.deid.domain.candidate import approving
from services.deid.domain.part10 import Project
from services.deid.domain.withholding import Withheld
from tests.support.instances import as_file, make_instances
from tests.unit.deid.originals import clean

PROFILE = "format: causeway.profile/1\nname: p\nversion: '1'\nlegal_basis: expert\n"


def opened(folder: Path, more: str) -> Project:
    """A project with a profile."""
    (folder / "research.yaml").write_text(PROFILE + more)
    return FileProjects(folder / "keys", profiles=FileProfiles(folder)).open("research")


@pytest.mark.parametrize("options", ["", "options: [clean_pixel_data]\n"])
def test_a_head_is_held_until_a_person_lets_it_go(tmp_path: Path, options: str) -> None:
    """Whether or not the profile has pixels cleaned; without the wish it goes out."""
    head = as_file(make_instances(1, BodyPartExamined="HEAD")[0])
    clean(head, opened(tmp_path, options))
    holding = opened(tmp_path, options + "hold: {faces: true}\n")
    with pytest.raises(Withheld) as held:
        clean(head, holding)
    assert held.value.code == "face"
    clean(head, approving(holding))
