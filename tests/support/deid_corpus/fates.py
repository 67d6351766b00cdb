"""What must become of a value: from the codes of its row in Table E.1-1 (PS3.15)."""

from collections.abc import Mapping

from services.deid.domain.rules import Row

_CLASSES = {"DA": "date", "TM": "time", "DT": "datetime", "AS": "age", "UI": "uid", "SQ": "sequence"}
_BINARY = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "UN"])
_DATES = frozenset(["date", "time", "datetime"])
MODIFIED, FULL = "retain_longitudinal_modified_dates", "retain_longitudinal_full_dates"


def class_of(vr: str) -> str:
    """The class of a value in the key."""
    return "binary" if vr in _BINARY else _CLASSES.get(vr, "text")


def expected(row: Row | None, vr: str) -> dict[str, str]:
    """Fates by option: ``basic``, and every option that changes it."""
    kind = class_of(vr)
    if row is None:
        return {"basic": "cleaned"}
    basic = "date_removed" if kind in _DATES else {"U": "uid_changed", "K": "kept"}.get(row.basic, "text_removed")
    return {"basic": basic} | _by_option(row.options, kind)


def _by_option(codes: Mapping[str, str], kind: str) -> dict[str, str]:
    found = {}
    for option, code in codes.items():
        if kind == "binary":
            found[option] = "neutral"
        elif kind == "age" and code == "K" and option == "retain_patient_characteristics":
            found[option] = "age_capped"
        elif code == "K":
            found[option] = "kept"
        elif code == "C" and option == MODIFIED:
            found[option] = "date_shifted" if kind in _DATES else "neutral"
        elif code == "C":
            found[option] = "cleaned" if kind not in _DATES else "neutral"
    return found
