"""Headers of real objects, with no option and with all: none fails for a reason that nobody foresaw."""

import csv
from collections import Counter
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from services.deid.domain.options import Option
from services.deid.domain.part10 import clean_file
from services.deid.domain.withholding import Withheld
from tests.unit.deid.originals import choosing, describe

#: With UIDs retained, one that holds the number of its patient or case holds its object back.
FORESEEN = {"unreadable-header", "code-stream-text", "unknown-compression", "identifier-left"}
#: Its Number of Frames is "1A": nobody can say where its pixels end.
ENDLESS = "badVR.dcm"


def kinds(corpus: Path) -> list[Path]:
    """One object of each set, SOP class and transfer syntax."""
    rows = csv.DictReader((corpus / "dicom" / "MANIFEST.csv").open())
    found = {(row["set"], row["sop_class"], row["transfer_syntax"]): corpus / "dicom" / row["path"] for row in rows}
    return list(found.values())


@pytest.mark.parametrize("options", [(), tuple(set(Option) - {Option.FULL_DATES})], ids=["basic", "all"])
def test_every_kind_of_object_comes_out_readable_or_is_withheld_with_a_reason(
    corpus: Path, options: tuple[Option, ...]
) -> None:
    reasons: Counter[str] = Counter()
    project = choosing(*options)
    for path in kinds(corpus):
        file, sink = path.read_bytes(), BytesIO()
        try:
            told = describe(file)
        except Exception:
            continue  # no Part 10 file: ingest takes none of these
        try:
            clean_file(BytesIO(file), told, project, sink)
        except Withheld as refused:
            assert path.name != ENDLESS or refused.reason == "pixels-unreadable"
            reasons[refused.reason] += path.name != ENDLESS
            continue
        out = dcmread(BytesIO(sink.getvalue()))
        assert out.PatientIdentityRemoved == "YES", path
        reasons["out"] += 1
    assert {reason for reason, count in reasons.items() if count} - {"out"} <= FORESEEN
    assert reasons["out"] > 60
