"""What we make of messages beside what another converter makes of them: a comparison, not a norm.

``fhir_converter.yaml`` lists every difference by resource and element and says why; the test keeps it true. After a
change of a map: ``python -m tests.unit.hl7_fhir.test_fhir_converter`` writes the counts anew.
"""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from cli.hl7 import messages as in_file
from services.hl7_fhir.domain.clinical.decision import TRIGGERS
from services.hl7_fhir.domain.messages.message import header_of
from tests.support.comparison import differences
from tests.support.corpus import data_dir

LISTED = Path(__file__).with_name("fhir_converter.yaml")


def pairs() -> list[tuple[bytes, Path]]:
    """Every message whose trigger is mapped, with what the other converter makes of it."""
    folder = data_dir() / "hl7" / "fhir_converter"
    expected = {path.name.removesuffix("-expected.json"): path for path in folder.rglob("*-expected.json")}
    found = []
    for path in sorted((folder / "messages").iterdir()):
        content = next(iter(in_file(path.read_bytes())))
        header = header_of(content)
        if (header.text(9), header.text(9, 2)) in TRIGGERS and path.stem in expected:
            found.append((content, expected[path.stem]))
    return found


def counts() -> dict[str, int]:
    """How many values are theirs only or ours only, by ``Resource.element whose``."""
    return {f"{kind}.{element} {whose}": n for (kind, element, whose), n in sorted(differences(pairs()).items())}


def listed() -> dict[str, Any]:
    """The committed list."""
    found: dict[str, Any] = yaml.safe_load(LISTED.read_text())
    return found


def test_every_difference_to_the_other_converter_is_listed_with_its_count() -> None:
    assert len(pairs()) > 50
    assert counts() == listed()["counts"]


def test_every_difference_is_explained() -> None:
    patterns = [pattern for each in listed()["classes"] for pattern in each["elements"]]
    unexplained = [name for name in listed()["counts"] if not any(fnmatchcase(name, one) for one in patterns)]
    assert unexplained == []


def test_every_explanation_explains_something() -> None:
    for each in listed()["classes"]:
        for pattern in each["elements"]:
            assert any(fnmatchcase(name, pattern) for name in listed()["counts"]), pattern


if __name__ == "__main__":
    text = LISTED.read_text().split("counts:")[0]
    LISTED.write_text(text + "counts:\n" + "".join(f'  "{name}": {n}\n' for name, n in counts().items()))
