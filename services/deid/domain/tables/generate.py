"""Makes the generated tables from their sources; run by hand when an edition changes, never by the service.

``python -m services.deid.domain.tables.generate profile <table E.1-1 as JSON> > basic_profile.json``
``python -m services.deid.domain.tables.generate types <highdicom/_standard> > attribute_types.json``
``python -m services.deid.domain.tables.generate dictionary > dictionary.json``
``python -m services.deid.domain.tables.generate keywords > keywords.json``
``python -m services.deid.domain.tables.generate safe_private <table E.3.10-1 as JSON> > safe_private.json``
``python -m services.deid.domain.tables.generate concepts <table E.3.4-1 as JSON> > content_concepts.json``
``python -m services.deid.domain.tables.generate meanings > code_meanings.json``

Sources: DICOM PS3.15 Table E.1-1, (c) NEMA, as JSON rows ``{name, tag, basic_profile, options}``, Tables E.3.10-1 and
E.3.4-1 as JSON rows of their columns; the module tables of PS3.3 as the PyPI package highdicom (MIT licence) ships them
in ``highdicom/_standard``; the dictionary of PS3.6, the UIDs of its annex A and the context groups of PS3.16 as pydicom
has them.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.sr._concepts_dict import concepts as context_groups

#: Value representations of rows that pydicom 3.0.2 does not know yet (PS3.6).
NEW_VRS = {
    "00081301": "SQ", "00081302": "SQ", "00081303": "SQ", "00081304": "SQ", "00100011": "SQ", "00100012": "LT",
    "00100013": "LT", "00100014": "SQ", "00100015": "SQ", "00100016": "LT", "00100041": "SQ", "00100042": "LT",
    "00100043": "SQ", "00100044": "SQ", "00100045": "UT", "00100046": "SQ", "00100047": "UR", "00102162": "UC",
    "3004007F": "LO", "0040A034": "DT", "0040A035": "DT", "0040B034": "DT", "0040B036": "DT", "0040B03B": "LO",
    "0040B03F": "SH", "0040E012": "UR", "50xxxxxx": "OB", "60xx3000": "OW", "60xx4000": "LT",
}  # fmt: skip

#: UIDs that pydicom 3.0.2 does not know yet: JPEG XL, and native pixels in fragments (PS3.6 annex A).
NEW_UIDS = {f"1.2.840.10008.1.2.{rest}" for rest in ("4.110", "4.111", "4.112", "8.1")}

#: The strictest first: a nested attribute gets the strictest Type that any module gives it below its sequence.
STRICTNESS = ("1", "1C", "2", "2C", "3")

#: Only these can be emptied or replaced by rule; the Type of a number that is kept does not matter.
REPLACEABLE = {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "SQ", "ST", "TM", "UC", "UR", "UT"}


def profile(source: Path) -> dict[str, Any]:
    """Table E.1-1 as rows keyed by tag pattern; the row for private attributes is a rule of its own."""
    table = json.loads(source.read_text())
    return {
        "edition": table["edition"].split()[0],
        "notice": "DICOM PS3.15 Table E.1-1, (c) NEMA",
        "derivation": table.get("derivation", ""),
        "rows": [_row(row) for row in table["rows"] if "gggg" not in row["tag"]],
    }


def _row(row: dict[str, Any]) -> dict[str, Any]:
    tag = row["tag"][1:5] + row["tag"][6:10]
    vr = NEW_VRS.get(tag) or dictionary_VR(int(tag, 16))
    return {"tag": tag, "name": row["name"], "vr": vr, "basic": row["basic_profile"], "options": row["options"]}


def types(standard: Path) -> dict[str, Any]:
    """Attribute Types by IOD at top level, and by (sequence, attribute) below; Type 3 is left out."""
    modules = json.loads((standard / "module_attribute_map.json").read_text())
    iods = json.loads((standard / "iod_module_map.json").read_text())
    classes = json.loads((standard / "sop_class_iod_map.json").read_text())
    return {
        "notice": "DICOM PS3.3 module tables, (c) NEMA, through highdicom 0.28.2 (MIT)",
        "sop_classes": {uid: iod for uid, iod in sorted(classes.items()) if iod in iods},
        "iods": {iod: _strictest(_top(iods[iod], modules)) for iod in sorted(set(classes.values()) & set(iods))},
        "nested": _strictest(_nested(modules)),
    }


def _top(parts: list[dict[str, str]], modules: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for part in parts:
        for attribute in modules.get(part["key"], ()):
            if not attribute["path"] and (tag := _tag(attribute["keyword"])):
                yield tag, attribute["type"]


def _nested(modules: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for attributes in modules.values():
        for attribute in attributes:
            if attribute["path"] and (tag := _tag(attribute["keyword"])):
                yield f"{tag_for_keyword(attribute['path'][-1]):08X}/{tag}", attribute["type"]


def _tag(keyword: str) -> str | None:
    number = tag_for_keyword(keyword)
    return f"{number:08X}" if number is not None and dictionary_VR(number) in REPLACEABLE else None


def _strictest(found: Iterator[tuple[str, str]]) -> dict[str, list[str]]:
    """Attributes by their Type, eight to a line."""
    best: dict[str, str] = {}
    for key, kind in found:
        if kind in STRICTNESS:
            best[key] = min(best.get(key, "3"), kind, key=STRICTNESS.index)
    grouped = {kind: sorted(key for key, mine in best.items() if mine == kind) for kind in STRICTNESS[:-1]}
    return {kind: _lines(keys, 8) for kind, keys in grouped.items()}


def dictionary() -> dict[str, Any]:
    """Tags by VR, patterns of repeating groups with theirs, and every registered UID."""
    known = {f"{tag:08X}": entry[0] for tag, entry in DicomDictionary.items()}
    tags: dict[str, list[str]] = {}
    for tag, vr in sorted({**known, **{tag: vr for tag, vr in NEW_VRS.items() if "x" not in tag}}.items()):
        tags.setdefault(vr, []).append(tag)
    return {
        "notice": "DICOM PS3.6, (c) NEMA, through pydicom 3.0.2 (MIT)",
        "vrs": {vr: _lines(listed) for vr, listed in sorted(tags.items())},
        "repeating": {pattern: entry[0] for pattern, entry in sorted(RepeatersDictionary.items())},
        "uids": _lines(sorted(UID_dictionary.keys() | NEW_UIDS), 4),
    }


#: The option columns of Table E.3.4-1, in their order.
CONCEPT_OPTIONS = (
    "retain_uids", "retain_device_identity", "retain_institution_identity", "retain_patient_characteristics",
    "retain_longitudinal_full_dates", "retain_longitudinal_modified_dates", "clean_descriptors",
)  # fmt: skip


def concepts(source: Path) -> dict[str, Any]:
    """Table E.3.4-1: what becomes of content items by their concept name and value type."""
    table = json.loads(source.read_text())
    return {
        "edition": source.stem.rpartition("_")[2],
        "notice": "DICOM PS3.15 Table E.3.4-1, (c) NEMA",
        "rows": [_concept(row) for row in table["rows"]],
    }


def _concept(row: list[str]) -> dict[str, Any]:
    name, code, scheme, kind, _retired, _template, basic, *codes = row
    options = {option: each for option, each in zip(CONCEPT_OPTIONS, codes, strict=True) if each}
    return {"scheme": scheme, "code": code, "type": kind, "name": name, "basic": basic, "options": options}


def _lines(words: list[str], of: int = 12) -> list[str]:
    return [" ".join(words[start : start + of]) for start in range(0, len(words), of)]


def keywords() -> dict[str, Any]:
    """Tags by keyword: how a profile may name an attribute; and how many values it may give those that have several."""
    several: dict[str, list[str]] = {}
    for tag, (vr, multiplicity, *_) in sorted(DicomDictionary.items()):
        if vr in REPLACEABLE and multiplicity != "1":
            several.setdefault(multiplicity, []).append(f"{tag:08X}")
    return {
        "notice": "DICOM PS3.6, (c) NEMA, through pydicom 3.0.2 (MIT)",
        "multiplicities": {multiplicity: _lines(tags) for multiplicity, tags in sorted(several.items())},
        "keywords": {entry[4]: f"{tag:08X}" for tag, entry in sorted(DicomDictionary.items()) if entry[4]},
    }


def safe_private(source: Path) -> dict[str, Any]:
    """Table E.3.10-1 as VRs by creator and element: ``gggg,ee``, without the block that a file chooses."""
    found: dict[str, dict[str, str]] = {}
    for tag, creator, vr, _, _ in json.loads(source.read_text())["rows"]:
        found.setdefault(creator, {})[f"{tag[1:5]},{tag[8:10]}".upper()] = vr.split("/")[0]
    return {
        "notice": "DICOM PS3.15 2025e Table E.3.10-1, (c) NEMA",
        "elements": {creator: dict(sorted(elements.items())) for creator, elements in sorted(found.items())},
    }


def meanings() -> dict[str, Any]:
    """The meanings of the codes of PS3.16 by scheme and code; several are parted by ``|``."""
    found: dict[str, dict[str, set[str]]] = {}
    named: Any
    for scheme, named in context_groups.items():
        for code, (meaning, _groups) in ((code, told) for codes in named.values() for code, told in codes.items()):
            found.setdefault(scheme, {}).setdefault(code.strip(), set()).add(meaning)
    schemes = {
        scheme: {code: "|".join(sorted(each)) for code, each in sorted(codes.items()) if code}
        for scheme, codes in sorted(found.items())
    }
    return {"notice": "DICOM PS3.16, (c) NEMA, through pydicom 3.0.2 (MIT)", "schemes": schemes}


TABLES: dict[str, Callable[..., dict[str, Any]]] = {
    "profile": profile,
    "types": types,
    "dictionary": dictionary,
    "keywords": keywords,
    "safe_private": safe_private,
    "concepts": concepts,
    "meanings": meanings,
}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(TABLES[sys.argv[1]](*map(Path, sys.argv[2:])), indent=1) + "\n")
