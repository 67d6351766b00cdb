"""A query of the Modality Worklist Information Model, FIND (PS3.4 section C.2.2 and annex K), and its answers."""

import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from services.hl7_fhir.domain.worklist import dicom_text
from services.hl7_fhir.domain.worklist.dicom_set import (
    SPECIFIC_CHARACTER_SET,
    Asked,
    DataSet,
    Reader,
    Value,
    element,
    sequence,
)
from services.hl7_fhir.domain.worklist.keys import IN_STEP, MATCHING, SEQUENCES, STEP, VRS

STATIONS = 0x00400001
_DATE, _TIME = 0x00400002, 0x00400003
#: Characters of a value and of a list of UIDs, entries of a list, and signs for any sequence in a pattern.
_MAX_LENGTH, _MAX_LIST, _MAX_VALUES, _MAX_STARS = 512, 256 * 65, 256, 4

_DAY = re.compile(r"\d{4}(\.?)\d\d\1\d\d\Z")
_CLOCK = re.compile(r"(\d\d)(?::?(\d\d)(?::?(\d\d)(\.\d{1,6})?)?)?\Z")
#: Specific Character Set of a request to Python's codec; beside those that we write ourselves.
_CODECS = {
    "ISO_IR 13": "shift_jis",
    "ISO 2022 IR 13": "shift_jis",
    "ISO 2022 IR 87": "iso2022_jp_2",
    "ISO 2022 IR 159": "iso2022_jp_2",
    "ISO 2022 IR 149": "euc_kr",
    "GB18030": "gb18030",
    "GBK": "gb18030",
}


class BadQuery(ValueError):
    """The identifier cannot be matched against anything; ``args[0]`` says why, in our own words."""


@dataclass(frozen=True)
class Condition:
    """One key to be matched. ``values`` are alternatives; of a range the first and the last value, empty when open."""

    column: str
    kind: str
    values: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Wanted:
    """One return key; ``inner`` are those asked for within a sequence, None for all of them."""

    tag: int
    vr: str
    inner: "tuple[Wanted, ...] | None" = None


@dataclass(frozen=True)
class Query:
    """What is asked. ``partial`` tells that a key is not supported: matches are then answered FF01 (annex K.4.1.3)."""

    conditions: tuple[Condition, ...]
    wanted: tuple[Wanted, ...]
    station: str
    utf8: bool
    partial: bool


def read_query(encoded: bytes, *, explicit: bool, combined: bool = False) -> Query:
    """The query in an identifier; BadDataSet, BadQuery.

    ``combined`` was negotiated: date and time are one range (PS3.4 section C.2.2.2.5.1).
    """
    found = Reader(encoded, explicit=explicit, sequences=SEQUENCES).read()
    charset = _text(found.pop(SPECIFIC_CHARACTER_SET, None), "ascii").split("\\")
    top = {tag: asked for tag, asked in found.items() if tag & 0xFFFF and tag != STEP}
    if not top and STEP not in found:
        raise BadQuery("no-keys")
    inner = _step(found.get(STEP))
    codec = _codec(charset)
    texts = {tag: _text(asked, codec) for tag, asked in (*top.items(), *inner.items())}
    conditions = _conditions(top, texts, in_step=False) + _conditions(inner, texts, in_step=True)
    step = (Wanted(STEP, "SQ", _wanted(inner, IN_STEP) or None),) if STEP in found else ()
    wanted = tuple(sorted((*_wanted(top, VRS.keys() - IN_STEP), *step), key=lambda each: each.tag))
    return Query(
        conditions=_joined(conditions) if combined else conditions,
        wanted=wanted,
        station=next((each.values[0] for each in conditions if each.kind == "station"), ""),
        utf8=dicom_text.UTF8 in charset,
        partial=_is_partial(top, False) or _is_partial(inner, True),
    )


def _step(asked: Asked | None) -> Mapping[int, Asked]:
    if asked is None or not asked.items:
        return {}
    if len(asked.items) > 1:
        raise BadQuery("several-items")
    return {tag: each for tag, each in asked.items[0].items() if tag & 0xFFFF}


def _codec(charset: Sequence[str]) -> str:
    for name in reversed(charset):
        known = (
            _CODECS.get(name) or dicom_text.CODECS.get(name) or dicom_text.CODECS.get(name.replace("2022 IR", "_IR"))
        )
        if known:
            return known
        if name.startswith("ISO 2022 IR ") and (known := dicom_text.CODECS.get(f"ISO_IR {name[12:]}")):
            return known
    return ""


def _text(asked: Asked | None, codec: str) -> str:
    """The value, which may be in the wrong character set: then it is read as it is most likely meant."""
    if asked is None or asked.items is not None:
        return ""
    for attempt in (codec, "utf-8"):
        if attempt:
            try:
                return asked.value.replace(b"\x1b$)C", b"").decode(attempt).strip(" \0")
            except UnicodeDecodeError:
                continue
    return asked.value.decode("latin-1").strip(" \0")


def _conditions(asked: Mapping[int, Asked], texts: Mapping[int, str], *, in_step: bool) -> tuple[Condition, ...]:
    found = []
    for tag in asked:
        key, value = MATCHING.get(tag), texts[tag]
        if key is None or (tag in IN_STEP) != in_step or not value or set(value) == {"*"}:
            continue
        found.append(Condition(key.column, key.kind, _values(key.kind, value)))
    return tuple(found)


def _values(kind: str, value: str) -> tuple[str, ...]:
    if kind == "date":
        return _range(value, _day)
    if kind == "time":
        return _range(value, _clock)
    value = _bounded(value, kind)
    if kind == "name":
        return dicom_text.folded(value) or ("",)
    values = tuple(each for part in value.split("\\") if (each := part.strip(" \0")))
    if len(values) > _MAX_VALUES:
        raise BadQuery("too-many-values")
    return values or ("",)


def _bounded(value: str, kind: str) -> str:
    """A pattern that costs little to compare: a database tries every way in which several ``*`` may match."""
    value = re.sub(r"\*{2,}", "*", value)
    longest = _MAX_LIST if kind == "uid" else _MAX_LENGTH
    if len(value) > longest or value.count("*") > _MAX_STARS:
        raise BadQuery("pattern-too-long")
    if "\0" in value:
        raise BadQuery("control-character")
    return value


def _range(value: str, read: Callable[[str, bool], str]) -> tuple[str, str]:
    """Lowest and highest value; a single value is a range as long as its precision."""
    low, dash, high = (part.strip() for part in value.partition("-"))
    if not dash:
        high = low
    if not low and not high:
        raise BadQuery("no-range")
    return read(low, False) if low else "", read(high, True) if high else ""


def _day(value: str, _: bool) -> str:
    if not _DAY.match(value):
        raise BadQuery("no-date")
    return value.replace(".", "")


def _clock(value: str, is_last: bool) -> str:
    found = _CLOCK.match(value)
    if not found:
        raise BadQuery("no-time")
    return "".join(part or ("59" if is_last else "00") for part in found.group(1, 2, 3))


def _joined(conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """Date and time as one condition where both are asked for."""
    told = {each.column: each for each in conditions}
    if not {"date", "time"} <= set(told):
        return conditions
    (first_day, last_day), (first_time, last_time) = told["date"].values, told["time"].values
    values = (
        first_day + (first_time or "000000") if first_day else "",
        last_day + (last_time or "235959") if last_day else "",
    )
    rest = tuple(each for each in conditions if each.column not in ("date", "time"))
    return (*rest, Condition("starts", "moment", values))


def _wanted(asked: Mapping[int, Asked], known: Set[int]) -> tuple[Wanted, ...]:
    """The return keys by tag; what is not known is answered empty, in the VR it was asked for."""
    found = []
    for tag, each in sorted(asked.items()):
        if tag in SEQUENCES and tag in known:
            inner = _wanted(each.items[0], VRS.keys()) if each.items and each.items[0] else None
            found.append(Wanted(tag, "SQ", inner))
        elif tag in known:
            found.append(Wanted(tag, VRS[tag]))
        else:
            found.append(Wanted(tag, "SQ" if each.items is not None else each.vr or "UN"))
    return tuple(found)


def _is_partial(asked: Mapping[int, Asked], in_step: bool) -> bool:
    """Whether a key is neither returned nor matched, or has a value that cannot be matched."""
    for tag, each in asked.items():
        known = tag in VRS and (tag in IN_STEP) == in_step
        valued = bool(each.value.strip(b" \0*")) or any(
            inner.value.strip(b" \0*") for item in each.items or () for inner in item.values()
        )
        if not known or (valued and tag not in MATCHING):
            return True
    return False


def answer(query: Query, data: DataSet, charset: str, *, explicit: bool) -> bytes:
    """The identifier of a response: ``data`` as far as it was asked for."""
    charset = dicom_text.UTF8 if charset and query.utf8 else charset
    named = element(SPECIFIC_CHARACTER_SET, "CS", charset.encode(), explicit) if charset else b""
    before = [each for each in query.wanted if each.tag < SPECIFIC_CHARACTER_SET]
    rest = query.wanted[len(before) :]
    return _encoded(before, data, charset, explicit) + named + _encoded(rest, data, charset, explicit)


def _encoded(wanted: Sequence[Wanted], data: DataSet, charset: str, explicit: bool) -> bytes:
    return b"".join(_one(each, data.get(each.tag, ""), charset, explicit) for each in wanted)


def _one(wanted: Wanted, value: Value, charset: str, explicit: bool) -> bytes:
    if isinstance(value, str):
        return element(wanted.tag, wanted.vr, dicom_text.encoded(value, wanted.vr, charset), explicit)
    items = (_encoded(wanted.inner or _all(item), item, charset, explicit) for item in value)
    return sequence(wanted.tag, items, explicit)


def _all(item: DataSet) -> tuple[Wanted, ...]:
    return tuple(Wanted(tag, VRS[tag]) for tag in sorted(item))
