"""Makes the table of words that may stay in free text; run by hand when an edition or words.yaml changes.

``python -m services.deid.domain.tables.generate_words <folder of the census lists> > allowed_words.json``

Sources: words.yaml; the code meanings of PS3.16 and the attribute names of PS3.6 as pydicom 3.0.2 (MIT) has them, but
for words that may be names: those never written in lower case, and those among the given names and the commoner
surnames of the US census of 1990 (public domain; dist.male.first, dist.female.first, dist.all.last).
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from pydicom._dicom_dict import DicomDictionary
from pydicom.sr._concepts_dict import concepts

from services.deid.domain.folding import spellings

#: Surnames rarer than this are seldom names in a text and often words.
SURNAMES = 20000
SCHEMES = ("DCM", "SCT", "NCIt", "RADLEX", "UMLS", "FMA", "LN", "IBSI", "RXNORM", "BARI", "NEU")

_WORD = re.compile(r"[^\W\d_]{3,}")


def table(census: Path) -> dict[str, Any]:
    """The whole table, each word folded as a text is before it is looked up."""
    listed = yaml.safe_load((Path(__file__).parent / "words.yaml").read_text("utf-8"))
    own = _folded(" ".join(listed["words"].values()).split())
    functions = _folded(" ".join(listed["function_words"].values()).split())
    months = [sorted(_folded(names.split())) for names in listed["months"]]
    standard = _folded(_standard_words()) - _names(census).union(own, functions, *months)
    return {
        "notice": "words.yaml; DICOM PS3.16 and PS3.6, (c) NEMA, through pydicom 3.0.2 (MIT), without names",
        "words": _lines(own),
        "standard_words": _lines(standard),
        "function_words": _lines(functions),
        "units": _lines(_folded(listed["units"].split())),
        "pieces": _lines(_folded(listed["pieces"].split())),
        "particles": _lines(_folded(listed["particles"].split())),
        "titles": _lines(_folded(listed["titles"].split())),
        "months": [" ".join(names) for names in months],
    }


def _standard_words() -> Iterator[str]:
    """Words that the standard writes in lower case somewhere, and those of attribute names."""
    schemes: dict[str, Any] = concepts
    for scheme in SCHEMES:
        for meanings in schemes[scheme].values():
            for meaning, _ in meanings.values():
                yield from (word for word in _WORD.findall(meaning) if word.islower())
    for entry in DicomDictionary.values():
        yield from _WORD.findall(entry[2])


def _names(census: Path) -> set[str]:
    lists = [("dist.male.first", None), ("dist.female.first", None), ("dist.all.last", SURNAMES)]
    return {line.split()[0].lower() for file, most in lists for line in (census / file).read_text().splitlines()[:most]}


def _folded(words: Iterable[str]) -> set[str]:
    return {spelling for word in words for spelling in spellings(word)}


def _lines(words: Iterable[str], width: int = 110) -> list[str]:
    """The words in order, as many to a line as fit."""
    lines = [""]
    for word in sorted(words):
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


if __name__ == "__main__":
    sys.stdout.write(json.dumps(table(Path(sys.argv[1])), indent=1, ensure_ascii=False) + "\n")
