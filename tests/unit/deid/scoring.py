"""The answer key of the planted corpus, applied to what goes out (its README gives the key's format)."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread

from services.deid.domain.options import Option
from services.deid.domain.part10 import Project, clean_file
from services.deid.domain.withholding import Withheld
from tests.unit.deid.originals import describe

#: A random mark that goes with its value; where only the value is cleaned, a cleaner can't know it.
MARK = "token"
#: Fates of values of which something stays at its place.
RETAINED = ("kept", "date_shifted", "age_capped")


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
    options, staying = project.profile.options, _staying(key, project.profile.options)
    for record in key["records"]:
        if record["file"] in found.out:
            _judge(
                record,
                fate_of(record, options, key["rows"]),
                staying,
                shown[record["file"]],
                parsed[record["file"]],
                found,
            )
    for entry in key["files"]:
        for needle in entry["shared"] if entry["file"] in found.out else ():
            _search(needle, shown[entry["file"]], entry["file"], found)
    originals = {name: dcmread(folder / name, stop_before_pixels=True) for name in found.out}
    for kept in key["keep"]:
        if kept["file"] in found.out:
            original = _value(originals[kept["file"]], kept["path"])
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


def fate_of(record: dict[str, Any], options: frozenset[Option], rows: dict[str, Any]) -> str:
    """What is to become of a value; of several fates the one that the rules give it (rules.Row.under)."""
    fates = {record["expect"][option] for option in options if option in record["expect"]}
    order = ("date_shifted", "kept", "age_capped", "cleaned", "neutral", "text_removed")
    fate = str(next((fate for fate in order if fate in fates), record["expect"]["basic"]))
    gone = any(not options & rows[above]["options"].keys() for above in record.get("anc") or ())
    return "neutral" if gone and fate in RETAINED else fate


def _staying(key: dict[str, Any], options: frozenset[Option]) -> set[str]:
    """What is retained in one attribute may not be searched for because it had to go in another."""
    kept = (record for record in key["records"] if fate_of(record, options, key["rows"]) == "kept")
    return {needle for record in kept for needle, _, _ in record["needles"]}


def _judge(
    record: dict[str, Any], fate: str, staying: set[str], shown: tuple[bytes, str], parsed: Dataset, found: Score
) -> None:
    if fate == "neutral":
        return
    if fate in RETAINED:
        _judge_retained(record, fate, parsed, found)
    for needle, kind, _unique in record["needles"] if fate not in RETAINED else ():
        if needle not in staying and (kind != MARK or fate == "text_removed"):
            _search(needle, shown, f"{record['file']} {record['path']}", found)
    value = _value(parsed, record["path"]) if record["where"] == "attribute" else None
    if record.get("present") and value is None:
        found.missing.append(f"{record['file']} {record['path']}")
    if record.get("weak") and fate not in RETAINED and value is not None and str(value) == str(record["value"]):
        found.survivors.append(f"{record['file']} {record['path']}")


def _judge_retained(record: dict[str, Any], fate: str, parsed: Dataset, found: Score) -> None:
    """Kept as it was, a date moved by whole days, an age up to 89 as it was and above capped."""
    at = parsed.file_meta if record["where"] == "file_meta" else parsed
    value, where = _value(at, record["path"]), f"{record['file']} {record['path']} {fate}"
    if fate == "age_capped":
        age = str(record["value"])
        right = str(value) == ("090Y" if age.endswith("Y") and int(age[:3]) >= 90 else age)
    elif fate == "kept":
        right = _same(value, record["value"])
    else:
        right = _moved(_text(value), record)
    found.kept += right
    found.lost += [] if right else [where]


def _moved(value: str, record: dict[str, Any]) -> bool:
    """Whole days earlier, at the same time of day."""
    before = str(record["value"])
    if record["vr"] == "TM":
        return value == before
    return len(value) == len(before) and value[:8] < before[:8] and value[8:] == before[8:]


def _same(value: Any, planted: Any) -> bool:
    return _text(value) == str(planted).strip(" \0") or value == planted


def _text(value: Any) -> str:
    """A value as text; pydicom has bytes for the newest attributes in implicit VR."""
    return (value.decode("latin-1") if isinstance(value, bytes) else str(value)).strip(" \0")


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
