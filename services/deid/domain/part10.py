"""One Part 10 file in, one out: header cleaned, pixel bytes passed through unchanged (PS3.10 section 7)."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import BinaryIO, NamedTuple

from contracts.formats.manifest import Instance
from services.deid.domain.cleaning import (
    ISSUER,
    PATIENT_ID,
    SERIES_INSTANCE,
    SOP_CLASS,
    SOP_INSTANCE,
    STUDY_INSTANCE,
    telling,
    texts_of,
)
from services.deid.domain.content.documents import DOCUMENT
from services.deid.domain.cutting import Cutter, as_stretches
from services.deid.domain.dataset import (
    Element,
    Elements,
    Encoding,
    TooMuch,
    Unreadable,
    encoding_of,
)
from services.deid.domain.deflated import DEFLATED, deflate, header_so_far, inflated
from services.deid.domain.dictionary import is_registered
from services.deid.domain.entry import instance_of, line_of, routing_of
from services.deid.domain.file_meta import file_meta
from services.deid.domain.fragments import with_tables
from services.deid.domain.free_text import MOST as MOST_TEXT
from services.deid.domain.header import CleanHeader
from services.deid.domain.identifiers import Identifiers
from services.deid.domain.looking.scanner import Look, TextFinder
from services.deid.domain.marks import with_options_told
from services.deid.domain.memo import Memo
from services.deid.domain.names import NOBODY, TOO_MANY, Names
from services.deid.domain.options import Option
from services.deid.domain.passing import passage
from services.deid.domain.person import NOBODY_ELSE, Issuers, Person, person_of
from services.deid.domain.pictures.faces import standard_faces
from services.deid.domain.pictures.looking import Looked, looked_at
from services.deid.domain.pictures.retouch import Pictures
from services.deid.domain.pixels import Output, Untold
from services.deid.domain.profile import BASIC_PROFILE, Profile
from services.deid.domain.pseudonyms import ProjectKey
from services.deid.domain.recognizer import Recognizer
from services.deid.domain.record import Step
from services.deid.domain.rules import Rules
from services.deid.domain.stretch import Context, Stretch
from services.deid.domain.uids import NamedByUid, stays
from services.deid.domain.values import uids_in
from services.deid.domain.withholding import Reason, Withheld
from shared.errors import RetryLater

#: A longer header is not taken apart: in memory it is there up to three times; bytes.
HEADER_LIMIT = 16 * 1024 * 1024
#: A longer header may hold more text than is cleaned of one object (free_text.MOST), so all of it is counted; bytes.
REMEMBERED = MOST_TEXT // 4


@dataclass(frozen=True)
class Project:
    """What de-identifies for one project; ``refuse`` says why a header's object may not go out, None when it may.

    ``second_engine`` looks for text in pixels once more, in what was made of them. ``approved`` is for what a person
    looks at and lets go: then nothing is held back that could be cleaned. ``issuers`` gave the Patient IDs of objects
    that name none: for files that no ingest has read, which tells by match token.
    """

    name: str
    key: ProjectKey
    rules: Rules
    refuse: Callable[[Elements], Reason | None]
    profile: Profile = BASIC_PROFILE
    pictures: Pictures | None = None
    recognizer: Recognizer | None = None
    second_engine: TextFinder | None = None
    approved: bool = False
    issuers: Issuers = NOBODY_ELSE

    @cached_property
    def look(self) -> Look:
        """The second look at what was cleaned for the project, which remembers where it found nothing."""
        return Look(self.ruling, self.profile, self.second_engine)

    @cached_property
    def ruling(self) -> Rules:
        """The rules under the profile."""
        return self.rules.under(self.profile)

    @cached_property
    def memo(self) -> Memo:
        """What was made of the elements of earlier headers."""
        return Memo()

    def memo_for(self, original: Instance) -> Memo:
        """The memo, or an empty one for what has a long header: whether it is too much depends on no other object."""
        return self.memo if original.header_length <= REMEMBERED else Memo()

    @cached_property
    def tells(self) -> Callable[[Element], Element | None]:
        """What of an element others depend on."""
        return telling(self.ruling, self.profile)


@dataclass(frozen=True)
class Cleaned:
    """An instance that goes out: its line of the manifest (not placed yet), that of the headers, who it was, and what
    was done to its header."""

    instance: Instance
    line: bytes
    person: Person
    steps: Counter[Step] = field(default_factory=Counter)


class Named(NamedTuple):
    """Of which study and patient an object says it is, and what its header names."""

    study: str = ""
    issuer: str = ""
    patient_id: str = ""
    names: Names = NOBODY


class _Original(NamedTuple):
    """A header as it was read, and the pixels where they were inflated with it; ``text`` gives values by tag."""

    stretches: list[Stretch]
    elements: Elements
    pixels: Element | None
    text: Callable[[int], str]

    @property
    def telling(self) -> Elements:
        """What others depend on."""
        return tuple(chain.from_iterable([each.telling for each in self.stretches]))


def named_in(source: BinaryIO, original: Instance, project: Project) -> Named:
    """What the header of a Part 10 file names, nobody where it can't be read: then it does not go out. RetryLater."""
    try:
        header = _read(source, original, project)
        study, issuer, patient_id = map(header.text, (STUDY_INSTANCE, ISSUER, PATIENT_ID))
        telling = header.telling
        return Named(study, issuer, patient_id, project.memo.names(telling, lambda: _names(telling, project)))
    except OSError:
        raise RetryLater("work-area") from None
    except Exception:
        return Named()  # why it can't be read is told when its turn to be cleaned comes


def _names(telling: Elements, project: Project) -> Names:
    names = Identifiers(project.ruling)
    try:
        names.note_all(telling)
    except TooMuch:
        return TOO_MANY
    return names.names()


def clean_file(
    source: BinaryIO, original: Instance, project: Project, sink: BinaryIO, *, told: bool = True, study: Names = NOBODY
) -> Cleaned:
    """Read the Part 10 file ``source`` as ``original`` describes it and write the cleaned one to ``sink``.

    Without ``told`` nothing is told of it beside the file: no digests, no checksum, no line of headers. What the
    headers of its ``study`` name is searched for as well.
    Raises Withheld when it may not go out (what ``sink`` then holds is to be thrown away), RetryLater when files fail.
    """
    try:
        return _clean_file(source, original, project, Output(sink) if told else Untold(sink), study)
    except (Withheld, RetryLater):
        raise
    except TooMuch:
        raise Withheld(Reason.TOO_LARGE) from None
    except NamedByUid:
        raise Withheld(Reason.IDENTIFIER_LEFT) from None
    except Unreadable:
        raise Withheld(Reason.UNREADABLE_HEADER) from None
    except OSError:
        raise RetryLater("work-area") from None  # a full disk says nothing of the instance
    except Exception:
        # Fail closed, and without the cause: its text may hold what was to be removed.
        raise Withheld(Reason.FAILED) from None


def _clean_file(source: BinaryIO, original: Instance, project: Project, output: Output, study: Names) -> Cleaned:
    deflated, encoding = original.transfer_syntax in DEFLATED, encoding_of(original.transfer_syntax)
    read = _read(source, original, project)
    _, elements, pixels, text = read
    if text(SOP_CLASS) != original.sop_class_uid or not text(SOP_INSTANCE):
        raise Unreadable
    _check(elements, pixels, original, project)
    person = person_of(text, project.key, original.routing.patient_token, project.issuers)
    project.key.expect(uids_in(elements))
    header = _clean_header(read, person, encoding, project, study)
    looked = _look(source, original, elements, pixels, project)
    syntax = looked.syntax or original.transfer_syntax
    passed = passage(source, original, elements, pixels, looked, project.pictures)
    cleaned = looked.told(header.elements, encoding) if any(looked) else header.elements
    without = pixels is None and original.pixel_offset is None
    if seen := _seen(elements, project, clean=looked.clean or without):
        shows = not without or any(each.tag == DOCUMENT for each in cleaned)
        cleaned = with_options_told(cleaned, project.ruling.edition, project.profile, seen, shows=shows)
    cleaned = with_tables(cleaned, passed.found)
    data, new = header.encoded(cleaned, _uids(text, project)), texts_of(cleaned)
    output.meta(file_meta(original.sop_class_uid, new(SOP_INSTANCE), syntax))
    if deflated:
        facts = deflate(data, passed.inflated(pixels), passed.mask, output)
    else:
        output.data(data)
        facts = header_so_far(output) | passed.write(source, original, output)
    facts |= output.facts() | {"transfer_syntax": syntax}
    if isinstance(output, Untold):
        return Cleaned(instance_of(original, new, facts), b"", person, header.steps)
    instance = instance_of(original, new, facts, routing_of(new))
    return Cleaned(instance, line_of(cleaned, encoding), person, header.steps)


def _look(source: BinaryIO, original: Instance, elements: Elements, pixels: Element | None, project: Project) -> Looked:
    """What was found in the pixels, where the profile has them cleaned."""
    if not project.profile.has(Option.CLEAN_PIXEL_DATA) or project.pictures is None:
        return Looked()
    profile, pictures = project.profile, project.pictures
    return looked_at(source, original, elements, pixels, profile, pictures, approved=project.approved)


def _seen(elements: Elements, project: Project, *, clean: bool) -> frozenset[Option]:
    """The options of the profile that speak of what is to be seen and are met by what goes out.

    Its pixels are ``clean``; nobody is recognised by them. A person who lets a face go out does not make it none.
    """
    met = {Option.CLEAN_PIXEL_DATA} if clean else set[Option]()
    recognisable = project.profile.has(Option.CLEAN_VISUAL_FEATURES) and standard_faces().may_be_in(
        elements, strict=True
    )
    return project.profile.options & (met if recognisable else met | {Option.CLEAN_VISUAL_FEATURES})


def _read(source: BinaryIO, original: Instance, project: Project) -> _Original:
    return (_inflated if original.transfer_syntax in DEFLATED else _stored)(source, original, project)


def _stored(source: BinaryIO, original: Instance, project: Project) -> _Original:
    if original.header_length > HEADER_LIMIT:
        raise Withheld(Reason.TOO_LARGE)
    source.seek(original.dataset_offset)
    data = source.read(original.header_length)
    if len(data) != original.header_length:
        raise Unreadable
    memo = project.memo_for(original)
    passes = not (project.profile.has(Option.SAFE_PRIVATE) or project.profile.has(Option.CLEAN_PIXEL_DATA))
    cutter = Cutter(data, encoding_of(original.transfer_syntax), memo, project.tells, passes=passes)
    stretches = cutter.cut()
    elements = tuple(chain.from_iterable([each.elements for each in stretches]))
    return _Original(stretches, elements, None, texts_of(elements))


def _inflated(source: BinaryIO, original: Instance, project: Project) -> _Original:
    elements, pixels = inflated(source, original)
    return _Original(as_stretches(elements, project.tells), elements, pixels, texts_of(elements))


def _check(elements: Elements, pixels: Element | None, original: Instance, project: Project) -> None:
    """Raise Withheld when an object with this header may not go out."""
    # That there are pixels, where there are: their element is no part of a header.
    shown = (Element(0x7FE00010, "OW"),) if pixels or original.pixel_offset is not None else ()
    if not project.approved:
        if original.sop_class_uid in project.profile.held_classes:
            raise Withheld(Reason.HELD_BY_PROFILE)
        if reason := project.refuse((*elements, *shown)):
            raise Withheld(reason)


def _clean_header(read: _Original, person: Person, encoding: Encoding, project: Project, study: Names) -> CleanHeader:
    telling, pseudonym = read.telling, person.pseudonym
    rules, key, profile, recognizer = project.ruling, project.key, project.profile, project.recognizer
    context = project.memo.context(
        (pseudonym, encoding, telling, study),
        lambda: Context(rules, key, profile, recognizer, pseudonym, encoding, telling, study),
    )
    return CleanHeader(read.stretches, context, project.memo)


def _uids(text: Callable[[int], str], project: Project) -> Identifiers:
    """The UIDs of the original, where it is to have new ones."""
    originals, retains = Identifiers(project.ruling), project.profile.has(Option.RETAIN_UIDS)
    for uid in map(text, (SOP_INSTANCE, SERIES_INSTANCE, STUDY_INSTANCE)):
        if not (is_registered(uid) or (retains and stays(uid, project.profile))):
            originals.note_uid(uid)
    return originals
