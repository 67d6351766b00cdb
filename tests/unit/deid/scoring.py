"""The answer key of the planted corpus, applied to what goes out (its README gives the key's format)."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread

from services.deid.domain.part10 import Project, clean_file
from services.deid.domain.withholding import Withheld
from tests.unit.deid.originals import describe

#: A random mark that goes with its value; where only the value is cleaned, a cleaner can't know it.
MARK = "token"


@dataclass
class Score:
    """What was found: files out and withheld, needles searched, and everything that is wrong."""

    out: dict[str, bytes] = field(default_factory=dict)
    withheld: dict[str, str] = field(default_factory=dict)
    searched: int = 0
    survivors: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    kept: int = 0

    @property
    def reasons(self) -> Counter[str]:
        """How many were withheld for which reason."""
        return Counter(self.withheld.values())


def score(folder: Path, project: Project) -> Score:
    """De-identify every file of the corpus in ``folder`` and judge what goes out."""
    key, found = json.loads((folder / "key.json").read_text()), Score()
    for entry in key["files"]:
        if entry["kind"] != "dicomdir":  # no storage SOP class: ingest never takes one
            _run(folder, entry["file"], project, found)
    shown = {name: _shown(file) for name, file in found.out.items()}
    parsed = {name: dcmread(BytesIO(file)) for name, file in found.out.items()}
    for record in key["records"]:
        if record["file"] in found.out:
            _judge(record, shown[record["file"]], parsed[record["file"]], found)
    for entry in key["files"]:
        for needle in entry["shared"] if entry["file"] in found.out else ():
            _search(needle, shown[entry["file"]], entry["file"], found)
    for kept in key["keep"]:
        if kept["file"] in found.out:
            original = _value(dcmread(folder / kept["file"], stop_before_pixels=True), kept["path"])
            same = str(_value(parsed[kept["file"]], kept["path"])) == str(original)
            found.kept += same
            found.lost += [] if same else [f"{kept['file']} {kept['path']}"]
    return found


def _run(folder: Path, name: str, project: Project, found: Score) -> None:
    source, sink = (folder / name).read_bytes(), BytesIO()
    try:
        clean_file(BytesIO(source), describe(source), project, sink)
        found.out[name] = sink.getvalue()
    except Withheld as refused:
        found.withheld[name] = refused.reason


def _shown(file: bytes) -> tuple[bytes, str]:
    """The bytes, and every value as text, both in lower case: what a search has to look through."""
    whole = dcmread(BytesIO(file), stop_before_pixels=True)
    return file.lower(), "\0".join([*_texts(whole), *_texts(whole.file_meta)]).lower()


def _texts(dataset: Dataset) -> Iterator[str]:
    return (str(element.value) for element in dataset.iterall() if element.VR != "SQ")


def _judge(record: dict[str, Any], shown: tuple[bytes, str], parsed: Dataset, found: Score) -> None:
    fate = record["expect"]["basic"]
    if fate in ("kept", "neutral"):
        return
    for needle, kind, _unique in record["needles"]:
        if kind != MARK or fate == "text_removed":
            _search(needle, shown, f"{record['file']} {record['path']}", found)
    value = _value(parsed, record["path"]) if record["where"] == "attribute" else None
    if record.get("present") and value is None:
        found.missing.append(f"{record['file']} {record['path']}")
    if record.get("weak") and value is not None and str(value) == str(record["value"]):
        found.survivors.append(f"{record['file']} {record['path']}")


def _search(needle: str, shown: tuple[bytes, str], where: str, found: Score) -> None:
    found.searched += 1
    if needle.lower().encode() in shown[0] or needle.lower() in shown[1]:
        found.survivors.append(where)


def _value(dataset: Dataset, path: str) -> Any:
    """The value at ``(gggg,eeee)[item]/(gggg,eeee)``, None when it is not there."""
    step, _, rest = path.partition("/")
    tag = int(step[1:5] + step[6:10], 16)
    if tag not in dataset:
        return None
    value = dataset[tag].value
    if not rest:
        return value
    item = int(step[12:-1])
    return _value(value[item], rest) if item < len(value) else None
