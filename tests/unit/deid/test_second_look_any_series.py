"""A look that remembers says what one says that does not: of any data sets, documents and needles."""

import json
import struct
from io import BytesIO

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from services.deid.domain.dataset import EXPLICIT_LITTLE, LONG, SHORT, Element, encode
from services.deid.domain.file_meta import file_meta
from services.deid.domain.looking.scanner import Look
from services.deid.domain.options import Option
from services.deid.domain.profile import Profile
from tests.unit.deid.looked_at import Counting, Slice, cleared
from tests.unit.deid.originals import project
from tests.unit.deid.test_any_data_set import CT, ENCODINGS, NAME, NUMBER

#: What may stand in a file that goes out, and what gives somebody away.
HARMLESS = [b"CHEST", b"7", b"", b"2.25.1234567890123456789", b"1.5\\-2.25\\3", b"\x1b$B7;\x1b(B", b"\xe4\xff\0\1"]
TELLING = [
    NAME, NAME.upper() + b"'S", NUMBER, b"MRN 847-2655", b"8472655", b"1.2.3.4", b"1.2.3.4.5", b"20200102",
    b"2020-01-02", NAME.decode().encode("utf_16_le"), struct.pack("<I", 8472655), struct.pack("<d", 20200102.0),
    b"KiLmIsTeR\0\0\0", b"1.2.\x1b$)C3.4", b"mister", b"Kil", b"84726", b"55", b"20200109", b"19000101",
]  # fmt: skip
TAGS = st.sampled_from(
    [
        0x00080020, 0x00080021, 0x00080050, 0x00080080, 0x00080090, 0x00081030, 0x0008103E, 0x00081155, 0x00100030,
        0x00120063, 0x00181000, 0x00181020, 0x00189073, 0x0020000E, 0x00200013, 0x00200032, 0x00204000, 0x00280303,
        0x00281201, 0x00291001, 0x00291002, 0x00400275, 0x00080005, 0x00020016,
    ]
)  # fmt: skip
VRS = st.sampled_from(sorted((LONG | SHORT) - {"SQ"}))


def elements(values: list[bytes]) -> st.SearchStrategy[Element]:
    """Elements with one of these values, some of them in sequences."""
    scalars = st.builds(lambda tag, vr, value: Element(tag, vr, value), TAGS, VRS, st.sampled_from(values))
    items = st.lists(st.lists(scalars, max_size=2).map(tuple), max_size=2).map(tuple)
    return scalars | st.builds(lambda tag, items: Element(tag, "SQ", items=items), TAGS, items)


def document(texts: tuple[str, ...], number: object, form: int) -> bytes:
    """What may be told of a file: JSON, written in two ways, what is cut off, and what is none."""
    if form == 3:
        return texts[0].encode()
    line = {
        "00080060": {"vr": "CS", "Value": [texts[0]]},
        "00120063": {"vr": "LO", "Value": [texts[1], "a},b"[form:]]},
        texts[2]: {"length": number, "Value": [number, None]},
    }
    return json.dumps(line, ensure_ascii=bool(form)).encode()[: -1 if form == 2 else None]


PIXELS = [b"", bytes(64), bytes(64), b"\0\1" * 9 + b"kilmister.", b"\1" * 33 + b"xMRN8472655"]
SAID = ["CHEST", "2.25.9", "f" * 64, '},"', "a},b", '"', "\\", "\t", "}", "", "00081030", "00080080", "x},y", "é"]
NUMBERS = [7, -1.5, None, True, 1e30]


def documents(*telling: str, numbers: tuple[float, ...] = ()) -> st.SearchStrategy[bytes]:
    """Documents that say this, too."""
    strings = st.sampled_from([*SAID, *telling])
    return st.builds(
        document, st.tuples(strings, strings, strings), st.sampled_from([*NUMBERS, *numbers]), st.integers(0, 3)
    )


def file_of(own: dict[int, Element], changes: list[Element], syntax: str, uid: str, pixels: bytes) -> bytes:
    """A CT object with these attributes and those that differ in this slice."""
    found = {**own, **{each.tag: each for each in changes}}
    encoding = ENCODINGS[syntax]
    data = encode([found[tag] for tag in sorted(found) if tag >> 16 != 2], encoding)
    begin = Element(0x7FE00010, "OW", b"")
    meta = file_meta(CT.decode().strip("\0"), uid, syntax)
    more = [each for tag, each in sorted(found.items()) if tag >> 16 == 2 and each.items is None]
    meta += encode(more, EXPLICIT_LITTLE)
    return meta + data + (encode([begin._replace(value=pixels)], encoding) if pixels else b"")


PATIENT = {
    each.tag: each
    for each in (
        Element(0x00080016, "UI", CT),
        Element(0x00080018, "UI", b"1.2.3.4"),
        Element(0x00080020, "DA", b"20200102"),
        Element(0x00100010, "PN", NAME + b"^Ian"),
        Element(0x00100020, "LO", NUMBER),
    )
}
OUT = {0x00080016: PATIENT[0x00080016], 0x00080018: Element(0x00080018, "UI", b"2.25.77")}


@st.composite
def series(draw: st.DrawFn) -> list[Slice]:
    """Files that have much in common, and what is told of them."""
    syntax = draw(st.sampled_from(sorted(ENCODINGS)))
    before = PATIENT | {each.tag: each for each in draw(st.lists(elements(HARMLESS + TELLING), max_size=4))}
    after = OUT | {each.tag: each for each in draw(st.lists(elements(HARMLESS), max_size=6))}
    told = draw(documents())
    found: list[Slice] = []
    for _ in range(draw(st.integers(3, 6))):
        changes = draw(st.lists(elements(HARMLESS + TELLING), max_size=2)) if draw(st.booleans()) else []
        differing = draw(st.lists(elements(HARMLESS), max_size=2))
        if draw(st.integers(0, 3)) == 0:
            differing += draw(st.lists(elements(TELLING), max_size=1))
        if draw(st.booleans()):
            told = draw(documents())
        if draw(st.integers(0, 5)) == 0:
            told = draw(documents("kilmister", "MRN-8472655", "1.2.3.4", numbers=(8472655, 20200102.0)))
        pixels = draw(
            st.sampled_from([b"", bytes(64), bytes(64), b"\0\1" * 9 + b"kilmister.", b"\1" * 33 + b"xMRN8472655"])
        )
        found.append((
            file_of(before, changes, syntax, "1.2.3.4", bytes(8)),
            file_of(after, differing, syntax, "2.25.77", pixels),
            (("manifest", told), ("name", draw(st.sampled_from([b"packs/7f", b"packs/8", b"kilmister"])))),
        ))  # fmt: skip
    return found


OPTIONS = st.frozensets(st.sampled_from(sorted(set(Option) - {Option.CLEAN_PIXEL_DATA})), max_size=4).filter(
    lambda options: not options >= {Option.FULL_DATES, Option.MODIFIED_DATES}
)


@given(series(), OPTIONS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_what_is_remembered_changes_nothing_that_is_said(slices: list[Slice], options: frozenset[Option]) -> None:
    """Of any data sets, in any transfer syntax, under any options."""
    profile = Profile("any", options=options)
    rules = project().rules.under(profile)
    remembering = Look(rules, profile, precedents=Counting())
    said = [Look(rules, profile).at(BytesIO(before), BytesIO(after), told) for before, after, told in slices]
    assert [remembering.at(BytesIO(before), BytesIO(after), told) for before, after, told in slices * 2] == said * 2
    event(f"cleared {min(cleared(remembering), 5)}")
