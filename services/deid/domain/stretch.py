"""Elements side by side in a header, and all that decides, beside their own bytes, what becomes of them."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from services.deid.domain.cleaning import Cleaner
from services.deid.domain.content.contents import Contents
from services.deid.domain.dataset import Element, Elements, Encoding, encode
from services.deid.domain.identifiers import Identifiers
from services.deid.domain.marks import PIXEL_OPTIONS, PSEUDONYMS, marks
from services.deid.domain.names import NOBODY, Names
from services.deid.domain.profile import Profile
from services.deid.domain.pseudonyms import ProjectKey
from services.deid.domain.recognizer import Recognizer
from services.deid.domain.record import Notes, Record
from services.deid.domain.retaining import Retaining
from services.deid.domain.rules import Rules


class Steps:
    """What was noted of one element; for equal notes a memo has one object, so that it is compared at once."""

    __slots__ = ("notes",)

    def __init__(self, notes: Notes) -> None:
        self.notes = notes


class Out:
    """An element that goes out, and as it is encoded; ``is_proven`` once that was searched for identifiers."""

    __slots__ = ("element", "encoded", "is_proven")

    def __init__(self, element: Element, encoding: Encoding) -> None:
        self.element = element
        self.encoded = encode((element,), encoding)
        self.is_proven = False


class Made:
    """What became of a stretch in one context: what goes out by tag, and what was noted."""

    __slots__ = ("kept", "steps")

    def __init__(self, kept: dict[int, Out], steps: tuple[Steps, ...]) -> None:
        self.kept = kept
        self.steps = steps


class Stretch:
    """Elements of a header side by side, of as many elements and items as ``count`` says.

    ``first`` and ``last`` are tags. ``telling``: what of the elements others depend on. ``raw``: their bytes
    where they are kept in mind, else none. ``made``: what became of them, by context. ``parts``: the stretches of one
    element each that this one was joined from.
    """

    __slots__ = ("count", "elements", "first", "last", "made", "parts", "raw", "telling")

    def __init__(self, element: Element, count: int, telling: Element | None = None) -> None:
        self.first = self.last = element.tag
        self.elements: Elements = (element,)
        self.telling: Elements = () if telling is None else (telling,)
        self.count = count
        self.raw = b""
        self.made: Mapping[Context, Made] = _NOTHING
        self.parts: tuple[Stretch, ...] = ()

    @classmethod
    def joined(cls, stretches: Iterable["Stretch"]) -> "Stretch":
        """Stretches side by side, each of which is kept in mind, as one."""
        parts = tuple(part for each in stretches for part in each.parts or (each,))
        joined = cls(parts[0].elements[0], sum(part.count for part in parts))
        joined.last = parts[-1].last
        joined.elements = tuple(element for part in parts for element in part.elements)
        joined.telling = tuple(element for part in parts for element in part.telling)
        joined.raw = b"".join(part.raw for part in parts)
        joined.made, joined.parts = {}, parts
        return joined


_NOTHING: Mapping["Context", Made] = MappingProxyType({})


class Context:
    """Made from what others depend on of elements (``telling``), and from nothing else of a header.

    ``pseudonym`` is what stands for the patient, ``study`` what all headers of the study name. TooMuch when they name
    too many.
    """

    def __init__(
        self, rules: Rules, key: ProjectKey, profile: Profile, recognizer: Recognizer | None,
        pseudonym: str, encoding: Encoding, telling: Elements, study: Names = NOBODY,
    ) -> None:  # fmt: skip
        self.names = Identifiers(rules, recognizer)
        self.names.leave_out(pseudonym)
        self.names.note_all(telling)
        self.names.note_names(study)
        self.encoding = encoding
        self._rules = rules
        self._key = key
        self._profile = profile
        self._days = key.days(pseudonym)
        self.level = self.cleaner().top(telling)
        self.own = {each.tag: Out(each, encoding) for each in _own(rules, profile, pseudonym)}

    def cleaner(self) -> Cleaner:
        """Cleans one object; what it remembers goes with it."""
        retaining = Retaining(self._profile, self.names, self._days)
        contents = Contents(self.encoding, self._profile, retaining)
        return Cleaner(self._rules, self._key, self._profile, self.names, retaining, contents, Record())


def _own(rules: Rules, profile: Profile, pseudonym: str) -> Iterator[Element]:
    """What stands for the patient, and what was done; of the pixels nothing is said yet."""
    yield from (Element(tag, vr, pseudonym.encode()) for tag, vr in PSEUDONYMS.items())
    yield from marks(rules.edition, profile, profile.options - PIXEL_OPTIONS.keys())
