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
#: A word that is as common a name as this goes beside another name.
COMMON = 5000
SCHEMES = ("DCM", "SCT", "NCIt", "RADLEX", "UMLS", "FMA", "LN", "IBSI", "RXNORM", "BARI", "NEU")

#: The lists of words.yaml whose words are inflected.
ENGLISH = ("techniques", "regions", "findings")

_WORD = re.compile(r"[^\W\d_]{3,}")


def table(census: Path) -> dict[str, Any]:
    """The whole table, each word folded as a text is before it is looked up."""
    listed = yaml.safe_load((Path(__file__).parent / "words.yaml").read_text("utf-8"))
    own = _folded(" ".join(listed["words"].values()).split())
    english = [word for key in ENGLISH for word in listed["words"][key].split()]
    functions = _folded(" ".join(listed["function_words"].values()).split())
    months = [sorted(_folded(names.split())) for names in listed["months"]]
    names = _names(census)
    standard = _folded(_standard_words()) - names.union(own, functions, *months)
    inflected = _folded(_inflected(english)) - names.union(own, functions, standard, *months)
    return {
        "notice": "words.yaml; DICOM PS3.16 and PS3.6, (c) NEMA, through pydicom 3.0.2 (MIT), without names",
        "words": _lines(own),
        "standard_words": _lines(standard),
        "inflected_words": _lines(inflected),
        "function_words": _lines(functions),
        "units": _lines(_folded(listed["units"].split())),
        "pieces": _lines(_folded(listed["pieces"].split())),
        "particles": _lines(_folded(listed["particles"].split())),
        "titles": _lines(_folded(listed["titles"].split())),
        "doubtful_words": _lines((own | functions) & _names(census, COMMON)),
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


def _inflected(words: Iterable[str]) -> Iterator[str]:
    """Plurals, participles and adverbs of English words, as far as letters alone tell."""
    for word in words:
        if len(word) > 3 and word.isalpha():
            stem = word.removesuffix("e")
            yield from (word + "s", word + "es", stem + "ed", stem + "ing", word + "ly")
            if word.endswith("y"):
                yield from (word[:-1] + "ies", word[:-1] + "ied")


def _names(census: Path, surnames: int = SURNAMES) -> set[str]:
    lists = [("dist.male.first", None), ("dist.female.first", None), ("dist.all.last", surnames)]
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
