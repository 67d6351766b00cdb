"""What we write ourselves into every object, and the terms of the standard: nobody's, so they tell nothing."""

from services.deid.domain.looking.reader import Leaf
from services.deid.domain.marks import marks
from services.deid.domain.options import Option
from services.deid.domain.profile import Profile
from services.deid.domain.terms import is_term

#: Implementation Version Name (0002,0013) of our files.
IMPLEMENTATION = "causeway_1"
#: Where our statements stand (PS3.15 section E.1.1, PS3.3 section C.12.1), as paths and as keys of DICOM JSON.
_PATHS = ("(0002,0013)", "(0012,0062)", "(0012,0063)", "(0012,0064)", "(0028,0303)")
KEYS = frozenset(path[1:5] + path[6:10] for path in _PATHS)


def our_texts(edition: str, profile: Profile) -> frozenset[str]:
    """All texts of our statements under ``profile``, in lower case."""
    found = {IMPLEMENTATION}
    for pixels in (frozenset[Option](), frozenset((Option.CLEAN_PIXEL_DATA,))):
        for element in marks(edition, profile, profile.options | pixels if pixels else profile.options):
            values = [element.value, *(inner.value for item in element.items or () for inner in item)]
            found.update(text for value in values for text in parts(value.decode("utf-8").casefold()))
    return frozenset(found)


def parts(text: str) -> list[str]:
    """The values of a text."""
    return [each.strip(" \0") for each in text.split("\\")]


def without_terms(tag: int, text: str) -> str:
    """A coded string, in lower case, without what the standard defines for the attribute."""
    return "\\".join("" if is_term(tag, part.upper()) else part for part in parts(text))


def may_be_ours(leaf: Leaf) -> bool:
    """Whether an attribute is one of our statements: then what we say there is no finding."""
    return leaf.path.startswith(_PATHS)
