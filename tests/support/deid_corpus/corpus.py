"""The whole corpus in a folder, with ``key.json`` in the form of the planted corpus' README."""

import hashlib
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom.filewriter import dcmwrite

from services.deid.domain.options import Option
from services.deid.domain.rules import standard_rules
from tests.support.deid_corpus.kinds import (
    carrier,
    charset,
    dates,
    free_text,
    nested,
    private,
    references,
    rows,
    rows_of_table,
)
from tests.support.deid_corpus.lettering import fonts, picture
from tests.support.deid_corpus.people import Maker, Patient
from tests.support.deid_corpus.planting import Planted

MODALITIES = ("US", "CR", "DX", "OT", "CT")


def write_corpus(folder: Path, seed: int, *, size: int = 1, pictures: int = 1, installed_fonts: bool = False) -> Path:
    """Write it; ``size`` is how often each kind comes, ``pictures`` how many of each modality."""
    maker = Maker(seed)
    patients = [maker.patient(number) for number in range(4)]
    found = list(_files(maker, patients, size, pictures, installed_fonts))
    entries = [_write(folder, each) for each in found]
    records = [record for each in found for record in each.records]
    key = {
        "format": 1,
        "seed": seed,
        "table": standard_rules().edition,
        "options": [str(option) for option in Option],
        "rows": {_tag(row.tag): {"name": row.name, "basic": row.basic, "options": dict(row.options)}
                 for row in standard_rules().rows.values()},
        "files": entries,
        "records": [{"id": number, **record} for number, record in enumerate(records)],
        "keep": [kept for each in found for kept in each.keep],
        "pixels": [{"file": each.name, "sop": each.sop, "lossy": False, "boxes": each.boxes} for each in found],
    }  # fmt: skip
    (folder / "key.json").write_text(json.dumps(key))
    return folder


def _tag(tag: str) -> str:
    return f"({tag[:4].upper()},{tag[4:].upper()})"


def _files(maker: Maker, patients: list[Patient], size: int, pictures: int, installed: bool) -> Iterator[Planted]:
    numbers = iter(range(1, 1_000_000))

    def whose() -> Patient:
        return maker.random.choice(patients)

    table = rows_of_table()
    for _ in range(size):
        parts = max(1, 4 // size)
        for part in range(parts):
            yield rows(maker, whose(), next(numbers), table[part::parts])
            yield nested(maker, whose(), next(numbers), table[part::parts])
        for make in (private, free_text, carrier, charset, dates):
            yield make(maker, whose(), next(numbers))
        yield from references(maker, whose(), next(numbers), next(numbers))
    letters = fonts(installed=installed)
    for modality in MODALITIES:
        for _ in range(pictures):
            yield picture(maker, whose(), next(numbers), modality, letters)
    yield picture(maker, whose(), next(numbers), "US", letters, is_written=False)


def _write(folder: Path, target: Planted) -> dict[str, Any]:
    content = BytesIO()
    target.dataset.file_meta.TransferSyntaxUID = target.syntax
    dcmwrite(content, target.dataset, enforce_file_format=True)
    data = target.preamble + content.getvalue()[128:]
    path = folder / target.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return {
        "file": target.name, "kind": target.kind, "sop": target.sop, "series": str(target.dataset.SeriesInstanceUID),
        "study": str(target.dataset.StudyInstanceUID), "patient": target.patient.number, "instance": target.number,
        "sop_class": str(target.dataset.SOPClassUID), "ts": str(target.syntax), "shared": target.patient.shared,
        "boxes": len(target.boxes), "sha256": hashlib.sha256(data).hexdigest(),
    }  # fmt: skip
