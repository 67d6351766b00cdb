"""Letters as they are compared: without case and accents, with the spellings that transliteration gives."""

import re
import unicodedata
from functools import lru_cache

#: Letters that lose more than a mark (ICAO Doc 9303 part 3 section 6, and what is usual without an umlaut).
_LETTERS = {
    "ß": "ss", "æ": "ae", "ø": "o", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ı": "i", "ĸ": "k",
    "ŋ": "n", "ŧ": "t", "\u02bb": "", "\u02bc": "", "\u02b9": "",
}  # fmt: skip
#: The letters that are written as two where they are missing.
_DIGRAPHS = {"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "æ": "ae", "ñ": "ny"}
#: From Hiragana to Katakana, of which each sound has one at the same distance (Unicode chapter 18.4).
_HIRAGANA, _TO_KATAKANA = range(0x3041, 0x3097), 0x60
_TWO = re.compile("ae|oe|ue|aa")


@lru_cache(8192)
def fold_letter(letter: str) -> str:
    """One character in lower case without marks, "" for a mark; apart from this it stays what it is."""
    small = letter.casefold()
    if small.isascii():
        return small
    if letter in _LETTERS or small in _LETTERS:
        return _LETTERS.get(letter) or _LETTERS[small]
    parts = unicodedata.normalize("NFKD", small)
    return "".join(_LETTERS.get(each, _katakana(each)) for each in parts if not unicodedata.combining(each)).casefold()


def _katakana(letter: str) -> str:
    return chr(ord(letter) + _TO_KATAKANA) if ord(letter) in _HIRAGANA else letter


def fold(text: str) -> str:
    """The whole text folded; of another length where letters are."""
    return text.lower() if text.isascii() else "".join(map(fold_letter, text))


def spellings(word: str) -> frozenset[str]:
    """How a word may be written where its letters are missing: Müller, Mueller and Muller are one."""
    small = unicodedata.normalize("NFC", word).lower()
    plain, long = fold(small), fold("".join(_DIGRAPHS.get(each, each) for each in small))
    return frozenset((plain, long))


def name_spellings(name: str) -> frozenset[str]:
    """The spellings of a name, also with one letter for two: Mueller is Muller where somebody dropped the dots."""
    found = spellings(name)
    return found | {_TWO.sub(lambda two: two.group()[0], each) for each in found}
