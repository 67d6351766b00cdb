"""One planted or kept value against what came out, as the actions of MIDI-B."""

import re
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread

from tests.support.deid_scoring.answer_key import MARK, AnswerKey, fates, may_be_gone
from tests.support.deid_scoring.needles import survives
from tests.support.deid_scoring.outputs import Output, value_at
from tests.support.deid_scoring.pictures import plane_shows
from tests.support.deid_scoring.tally import Tally

_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)")
_UID = re.compile(r"[0-9]+(\.(0|[1-9][0-9]*))+")
_ACTION = {
    "text_removed": "text_removed",
    "cleaned": "text_removed",
    "age_capped": "text_removed",
    "date_removed": "date_shifted",
    "date_shifted": "date_shifted",
    "uid_changed": "uid_changed",
    "kept": "text_retained",
}


class Judge:
    """Judges the files of one run with ``options``; ``shifts`` and ``uids`` are what the whole corpus must agree on."""

    def __init__(self, key: AnswerKey, options: frozenset[str]) -> None:
        self.key = key
        self.options = options
        self.tally = Tally()
        self.shifts: dict[int, dict[int, str]] = {}
        self.uids: dict[str, dict[str, str]] = {}
        self.patients: dict[str, dict[int, str]] = {}

    def missing(self, entry: Mapping[str, Any], reason: str) -> None:
        """All that was asked of a file that did not come out was not done."""
        name = entry["file"]
        for record in self.key.records.get(name, ()):
            for action in {_ACTION[fate] for fate in fates(record, self.options) if fate in _ACTION}:
                self.tally.note(action, False, name, reason)
        for _kept in self.key.keep.get(name, ()):
            self.tally.note("text_retained", False, name, reason)
        self.tally.note("patid_consistent", False, name, reason)

    def judge(self, entry: Mapping[str, Any], output: Output) -> None:
        """Everything that was asked of one file but its pictures."""
        name = entry["file"]
        original = dcmread(self.key.folder / name, stop_before_pixels=True)
        records = self.key.records.get(name, ())
        excused = self._excused(name)
        for record in records:
            self._record(record, entry, output, original, excused)
        for needle in _shared_in(self.key.folder, name, tuple(entry["shared"])):
            self.tally.note(
                "text_removed", not survives(needle, output, excused), name, f"shared {entry['shared'][needle]}"
            )
        for kept in self.key.keep.get(name, ()):
            self._keep(kept, output, original)
        self._obligatory(name, output)
        patient = str(output.value("(0010,0020)") or "")
        known = self.patients.setdefault(patient, {})
        known[entry["patient"]] = name

    def _excused(self, name: str) -> frozenset[str]:
        """Where a value may lie that stays: what else is planted may be equal to it."""
        stays = {"kept", "date_shifted", "neutral"}
        return frozenset(
            record["path"]
            for record in self.key.records.get(name, ())
            if fates(record, self.options) & stays and record["path"]
        ) | frozenset(kept["path"] for kept in self.key.keep.get(name, ()))

    def _record(
        self,
        record: Mapping[str, Any],
        entry: Mapping[str, Any],
        output: Output,
        original: Dataset,
        excused: frozenset[str],
    ) -> None:
        expected = fates(record, self.options) - {"neutral"}
        where = f"{record['file']} {record['where']} {record['path']} #{record['id']}"
        if not expected:
            return
        troubles = {fate: self._trouble(fate, record, entry, output, original, excused) for fate in expected}
        fate = next((fate for fate in sorted(expected) if not troubles[fate]), min(expected))
        self.tally.note(_ACTION[fate], not troubles[fate], where, f"{fate}: {troubles[fate]}")
        if record.get("present"):
            value = output.value(record["path"])
            self.tally.note("tag_retained", value is not None, where)
            if record["basic"] == "D":
                self.tally.note("text_notnull", value not in (None, ""), where)
        if "cleaned" in expected and fate == "cleaned" and record.get("harmless"):
            text = str(output.value(record["path"], record.get("creator")) or "").lower()
            words = record["harmless"].lower().split()
            lost = [word for word in words if word not in text]
            gone = not text and may_be_gone(record, self.key.rows, self.options)
            if "cleaned" in {record["expect"].get(option) for option in self.options} and not gone:
                self.tally.note("text_retained", not lost, where, f"harmless words lost: {len(lost)}")

    def _trouble(
        self,
        fate: str,
        record: Mapping[str, Any],
        entry: Mapping[str, Any],
        output: Output,
        original: Dataset,
        excused: frozenset[str],
    ) -> str:
        """What is wrong with a value that was to have this fate, "" when nothing is."""
        if fate in ("text_removed", "cleaned", "date_removed"):
            return self._left(fate, record, output, original, excused)
        before = value_at(original, record["path"], record.get("creator"))
        after = output.value(record["path"], record.get("creator"))
        if after in (None, "") and fate != "age_capped":
            gone = may_be_gone(record, self.key.rows, self.options)
            return "" if gone or before in (None, "") else "it is gone"
        return {
            "kept": lambda: "" if str(after) == str(before) else "it is another value",
            "uid_changed": lambda: self._uid(record, str(before), str(after)),
            "date_shifted": lambda: self._date(entry["patient"], record, str(before), str(after)),
            "age_capped": lambda: _age(str(before), str(after or "")),
        }[fate]()

    def _left(
        self, fate: str, record: Mapping[str, Any], output: Output, original: Dataset, excused: frozenset[str]
    ) -> str:
        pardoned = excused - {record["path"]}
        for needle, kind, _unique in record["needles"]:
            if (kind != MARK or fate == "text_removed") and survives(needle, output, pardoned):
                return f"{kind} is left"
        if "plane" in record and "PixelData" in output.dataset and plane_shows(output.dataset, record["plane"]):
            return "the plane is left"
        if record.get("weak") and record["value"] is not None:
            before = value_at(original, record["path"], record.get("creator"))
            after = output.value(record["path"], record.get("creator"))
            if before not in (None, "") and str(after) == str(before):
                return "the value is left"
        return ""

    def _uid(self, record: Mapping[str, Any], before: str, after: str) -> str:
        if not _UID.fullmatch(after) or len(after) > 64:
            return "it is no UID"
        self.uids.setdefault(before, {})[after] = record["file"]
        return "it is the same" if after == before else ""

    def _date(self, patient: int, record: Mapping[str, Any], before: str, after: str) -> str:
        was, now = _DATE.match(before), _DATE.match(after)
        if was is None:
            return ""  # a time of day: it may stay
        if now is None:
            return "it is no date"
        try:
            days = (date(*map(int, now.groups())) - date(*map(int, was.groups()))).days
        except ValueError:
            return "it is no date"
        self.shifts.setdefault(patient, {}).setdefault(days, record["file"])
        return "it is the same" if not days else ""

    def _keep(self, kept: Mapping[str, Any], output: Output, original: Dataset) -> None:
        conditions = {each.partition(":")[2] for each in kept["unless"] if each.startswith("basic-without:")}
        if conditions - self.options:
            return
        before, after = value_at(original, kept["path"]), output.value(kept["path"])
        where = f"{kept['file']} {kept['path']} {kept['note']}"
        self.tally.note("text_retained", str(before) == str(after), where, "it was to stay")

    def _obligatory(self, name: str, output: Output) -> None:
        """PS3.15 section E.1.1: what every output says of itself."""
        found = output.dataset
        said = {
            "Patient Identity Removed": found.get("PatientIdentityRemoved") == "YES",
            "method": "DeidentificationMethodCodeSequence" in found or "DeidentificationMethod" in found,
            "longitudinal": found.get("LongitudinalTemporalInformationModified") == self._temporal(),
            "preamble": output.data[:128] == bytes(128),
        }
        for what, holds in said.items():
            self.tally.note("tag_retained", bool(holds), name, f"obligatory: {what}")

    def _temporal(self) -> str:
        if "retain_longitudinal_full_dates" in self.options:
            return "UNMODIFIED"
        return "MODIFIED" if "retain_longitudinal_modified_dates" in self.options else "REMOVED"

    def agree(self) -> Tally:
        """What all files must agree on: new UIDs, one for one; patients; shifts of dates. The finished tally."""
        back: dict[str, set[str]] = {}
        for before, replaced in self.uids.items():
            for after in replaced:
                back.setdefault(after, set()).add(before)
        for replaced in self.uids.values():
            one_for_one = len(replaced) == 1 and all(len(back[after]) == 1 for after in replaced)
            self.tally.note("uid_consistent", one_for_one, next(iter(replaced.values())), f"{len(replaced)} new ones")
        for patient, shifts in self.shifts.items():
            self.tally.note("date_shifted", len(shifts) == 1, f"patient {patient}", f"shifts: {sorted(shifts)}")
        names: dict[int, set[str]] = {}
        for pseudonym, who in self.patients.items():
            for number, name in who.items():
                names.setdefault(number, set()).add(pseudonym)
                self.tally.note("patid_consistent", bool(pseudonym) and len(who) == 1, name, "shared by patients")
        for number, pseudonyms in names.items():
            self.tally.note("patid_consistent", len(pseudonyms) == 1, f"patient {number}", "several Patient IDs")
        return self.tally


@lru_cache(maxsize=512)
def _shared_in(folder: Path, name: str, shared: tuple[str, ...]) -> tuple[str, ...]:
    """The identifiers of the patient that are in the original at all."""
    original = Output(name, (folder / name).read_bytes())
    return tuple(needle for needle in shared if survives(needle, original))


def _age(before: str, after: str) -> str:
    """Ages of 90 and more are one class (45 CFR 164.514(b)(2)(i)(C))."""
    old = before[:3].isdigit() and before.endswith("Y") and int(before[:3]) > 89
    if not old:
        return "" if after == before else "it was to stay"
    # What is capped at 90 stays 090Y where it was that.
    return "it is the same" if after == before != "090Y" else ""
