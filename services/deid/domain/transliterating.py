"""Names in Cyrillic and Greek letters as they are written in Latin ones.

Cyrillic by ISO 9:1995 without its marks, by ISO/R 9:1968 (Ljuksemburg), BGN/PCGN (Lyuksemburg), ICAO Doc 9303 part 3
section 6 (Liuksemburg) and the Ukrainian resolution 55 of 2010; Greek by ELOT 743 (ISO 843) in its transcription and
its transliteration, and by ALA-LC (Demetrios).
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

_CYRILLIC = re.compile(r"[\u0400-\u052f]")
_GREEK = re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]")

#: Letters that are the same in every system.
_PLAIN = dict(zip("абвдезклмнопрстуфыэіґѕ", "abvdezklmnoprstufyeigz", strict=True)) | dict.fromkeys("ь'’ʼ", "")
#: ISO 9, ISO/R 9, BGN/PCGN, ICAO, Ukrainian.
_SYSTEMS = {
    "г": "g g g g h", "ё": "e e yo e e", "ж": "z z zh zh zh", "и": "i i i i y", "й": "j j y i i", "х": "h h kh kh kh",
    "ц": "c c ts ts ts", "ч": "c c ch ch ch", "ш": "s s sh sh sh", "щ": "s sc shch shch shch", "ъ": "- - - ie -",
    "ю": "u ju yu iu iu", "я": "a ja ya ia ia", "є": "e je ye ie ie", "ї": "i ji yi i i", "ў": "u u w u u",
    "ј": "j j j j j", "љ": "l lj lj lj lj", "њ": "n nj nj nj nj", "ћ": "c c c c c", "ђ": "d d dj dj dj",
    "џ": "d dz dz dz dz", "ќ": "k k kj kj kj", "ѓ": "g g gj gj gj",
}  # fmt: skip
_TABLES = tuple(
    str.maketrans(_PLAIN | {letter: row.split()[system].strip("-") for letter, row in _SYSTEMS.items()})
    for system in range(5)
)

_HELLENIC = dict(zip("αγδεζικλμνξοπρσςτω", "agdeziklmnxoprssto", strict=True)) | {"θ": "th", "ψ": "ps"}
#: Transcription, transliteration, ALA-LC.
_GREEK_TABLES = tuple(
    str.maketrans(_HELLENIC | dict(zip("βηυφχ", letters.split(), strict=True)))
    for letters in ("v i y f ch", "v i y f ch", "b e y ph ch")
)
#: Pairs of letters by the same systems; of the first two some depend on what they stand beside.
_PAIRS = (
    {"γγ": "ng", "γξ": "nx", "γχ": "nch", "ου": "ou"},
    {"ου": "ou", "αυ": "au", "ευ": "eu"},
    {"γγ": "ng", "γξ": "nx", "γχ": "nch", "ου": "ou", "αυ": "au", "ευ": "eu"},
)
#: Upsilon is a consonant behind these vowels, voiced before all but these letters; mu and pi are b at the beginning.
_UPSILON = re.compile(r"(?<=[αεη])υ([θκξπσςτφχψ]|\b)?")
_INITIAL = re.compile(r"\bμπ")


@lru_cache(1024)
def transliterations(name: str) -> frozenset[str]:
    """A name in small Latin letters by each system; none for a name that has no Cyrillic and no Greek letters."""
    if _CYRILLIC.search(name):
        small = unicodedata.normalize("NFC", name).lower()
        return frozenset(small.translate(table) for table in _TABLES)
    return frozenset(_greek(name)) if _GREEK.search(name) else frozenset()


def _greek(name: str) -> Iterator[str]:
    parts = unicodedata.normalize("NFD", name.lower())
    plain = "".join(each for each in parts if not unicodedata.combining(each))
    for table, pairs in zip(_GREEK_TABLES, _PAIRS, strict=True):
        text = plain
        for pair, latin in pairs.items():
            text = text.replace(pair, latin)
        if "αυ" not in pairs:
            text = _INITIAL.sub("b", _UPSILON.sub(_consonant, text))
        yield text.translate(table)


def _consonant(upsilon: re.Match[str]) -> str:
    behind = upsilon.group(1)
    return "v" if behind is None else f"f{behind}"
