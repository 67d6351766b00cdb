"""Data sets with structure, then broken in it: lengths, tags, VRs, delimiters, nesting, fragments, deflate streams."""

import struct
import zlib
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.fuzz.wire import BIG, DEFLATED, EXPLICIT, IMPLICIT, JPEG

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
STUDY, PIXELS = 0x0020000D, 0x7FE00010
LONG = {b"OB", b"OW", b"SQ", b"UN", b"UT", b"UC", b"OL", b"UR", b"OV", b"SV", b"UV", b"OD", b"OF"}
#: VRs with a length of two bytes; behind any other nobody knows where the next element begins (PS3.5 section 7.1.2).
SHORT = set(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
LIES = st.sampled_from([0, 1, 2, 7, 8, 0xFF, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFE, UNDEFINED])


@dataclass(frozen=True)
class Node:
    """An element. ``items`` are those of a sequence, or byte strings that are fragments; ``told`` is a length that is
    told instead of the true one; ``open_end`` leaves the delimiter out."""

    tag: int
    vr: bytes
    value: bytes = b""
    items: tuple["tuple[Node, ...] | bytes", ...] | None = None
    undefined: bool = False
    told: int | None = None
    open_end: bool = False


def encode(nodes: tuple[Node, ...], syntax: str) -> bytes:
    """The elements as they are told, in a transfer syntax."""
    order = ">" if syntax == BIG else "<"
    plain = b"".join(_node(node, order, implicit=syntax == IMPLICIT) for node in nodes)
    return deflate(plain) if syntax == DEFLATED else plain


def deflate(plain: bytes) -> bytes:
    """RFC 1951 without a wrapper (PS3.5 section A.5)."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return squeeze.compress(plain) + squeeze.flush()


def _tag(tag: int, length: int, order: str) -> bytes:
    return struct.pack(order + "HHI", tag >> 16, tag & 0xFFFF, length)


def _node(node: Node, order: str, *, implicit: bool) -> bytes:
    value = node.value if node.items is None else _items(node, order, implicit=implicit)
    length = UNDEFINED if node.undefined else len(value)
    length = length if node.told is None else node.told
    if node.undefined and not node.open_end:
        value += _tag(SEQUENCE_END, 0, order)
    if implicit:
        return _tag(node.tag, length, order) + value
    head = struct.pack(order + "HH2s", node.tag >> 16, node.tag & 0xFFFF, node.vr)
    if node.vr in LONG:
        return head + struct.pack(order + "HI", 0, length) + value
    return head + struct.pack(order + "H", length & 0xFFFF) + value


def _items(node: Node, order: str, *, implicit: bool) -> bytes:
    parts = []
    for one in node.items or ():
        inner = one if isinstance(one, bytes) else b"".join(_node(each, order, implicit=implicit) for each in one)
        if node.undefined and not isinstance(one, bytes):
            parts.append(_tag(ITEM, UNDEFINED, order) + inner + _tag(ITEM_END, 0, order))
        else:
            parts.append(_tag(ITEM, len(inner), order) + inner)
    return b"".join(parts)


_EVEN = st.binary(max_size=40).map(lambda value: value + b" " * (len(value) % 2))
_TAGS = st.sampled_from(
    [0x00080005, 0x00080016, 0x00080018, 0x00080060, 0x00100010, 0x00100020, 0x00280010, 0x00091001]
)
_ODD_TAGS = st.sampled_from([0x00020010, 0x00080000, ITEM, ITEM_END, SEQUENCE_END, PIXELS, 0xFFFCFFFC, 0xFFFFFFFF, 0])
_VRS = st.sampled_from([b"LO", b"PN", b"UI", b"US", b"DS", b"IS", b"UT", b"OB", b"UN", b"CS", b"AT", b"FD"])
_ODD_VRS = st.sampled_from([b"ZZ", b"\0\0", b"SQ", b"??", b"ui", b"  "])
_STUDIES = st.sampled_from([b"1.2.3.4\0", b"1.2.826.1.5\0", b"", b"Doe^Jo", b"../../etc/passwd", b"9" * 1100])


def leaves() -> st.SearchStrategy[Node]:
    """Elements that hold a value."""
    return st.builds(Node, _TAGS, _VRS, _EVEN)


def sequences(depth: int = 3) -> st.SearchStrategy[Node]:
    """Sequences of either kind of length, some levels deep."""
    inner = leaves() if depth == 0 else leaves() | st.deferred(lambda: sequences(depth - 1))
    found = st.lists(st.lists(inner, max_size=3).map(tuple), max_size=3).map(tuple)
    return st.builds(
        Node, st.just(0x00081140), st.sampled_from([b"SQ", b"SQ", b"UN"]), st.just(b""), found, st.booleans()
    )


def pixels(syntax: str) -> st.SearchStrategy[Node]:
    """Native pixels, or encapsulated ones with and without an offset table."""
    if syntax != JPEG:
        return st.builds(Node, st.just(PIXELS), st.just(b"OW"), _EVEN)
    found = st.lists(_EVEN, min_size=1, max_size=4).map(lambda values: (b"", *values))
    return st.builds(Node, st.just(PIXELS), st.just(b"OB"), st.just(b""), found, st.just(True))


@st.composite
def whole(draw: st.DrawFn, syntax: str) -> tuple[Node, ...]:
    """A data set as it should be, as far as its structure goes."""
    study = Node(STUDY, b"UI", draw(_STUDIES))
    front = draw(st.lists(leaves() | sequences(), max_size=4))
    last = draw(st.lists(pixels(syntax), max_size=1))
    return (*front, study, *last)


@st.composite
def broken(draw: st.DrawFn, nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """The same with one element of its top level, or of an item in it, told wrongly."""
    at = draw(st.integers(0, len(nodes) - 1))
    node = nodes[at]
    if node.items and draw(st.booleans()):
        number = draw(st.integers(0, len(node.items) - 1))
        inner = node.items[number]
        if isinstance(inner, tuple) and inner:
            items = (*node.items[:number], draw(broken(inner)), *node.items[number + 1 :])
            return (*nodes[:at], _with(node, items=items), *nodes[at + 1 :])
    change = draw(
        st.one_of(
            LIES.map(lambda told: {"told": told}),
            _ODD_TAGS.map(lambda tag: {"tag": tag}),
            (_ODD_VRS | _VRS).map(lambda vr: {"vr": vr}),
            st.just({"open_end": True}),
            st.booleans().map(lambda yes: {"undefined": yes}),
        )
    )
    return (*nodes[:at], _with(node, **change), *nodes[at + 1 :])


def _with(node: Node, **changed: object) -> Node:
    return Node(**{**vars(node), **changed})


@st.composite
def encoded(draw: st.DrawFn, syntax: str) -> bytes:
    """A data set in a transfer syntax: whole, broken in its structure, cut, or no data set at all."""
    nodes = draw(whole(syntax))
    for _ in range(draw(st.integers(0, 2))):
        nodes = draw(broken(nodes))
    data = encode(nodes, syntax)
    kind = draw(st.sampled_from(["as it is"] * 5 + ["cut", "tail", "noise", "deep", "many", "empty blocks"]))
    if kind == "cut":
        return data[: draw(st.integers(0, len(data)))]
    if kind == "tail":
        return data + draw(st.binary(max_size=30))
    if kind == "noise":
        return draw(st.binary(max_size=200))
    if kind == "deep":
        return nested(draw(st.integers(1, 300)), syntax)
    if kind == "many":
        return many(draw(st.integers(0, 3000)), syntax)
    return (b"\x00\x00\x00\xff\xff" * draw(st.integers(0, 200))) + data if kind == "empty blocks" else data


def nested(depth: int, syntax: str) -> bytes:
    """A study UID behind a sequence so many levels deep."""
    order = ">" if syntax == BIG else "<"
    element = Node(0x00081140, b"SQ", told=UNDEFINED)
    begin = _node(element, order, implicit=syntax == IMPLICIT) + _tag(ITEM, UNDEFINED, order)
    end = _tag(ITEM_END, 0, order) + _tag(SEQUENCE_END, 0, order)
    plain = begin * depth + end * depth + _node(Node(STUDY, b"UI", b"1.2.3.4\0"), order, implicit=syntax == IMPLICIT)
    return deflate(plain) if syntax == DEFLATED else plain


def many(items: int, syntax: str) -> bytes:
    """A study UID behind a sequence of so many empty items."""
    order, implicit = ">" if syntax == BIG else "<", syntax == IMPLICIT
    plain = _node(Node(0x00081140, b"SQ", told=UNDEFINED), order, implicit=implicit) + _tag(ITEM, 0, order) * items
    plain += _tag(SEQUENCE_END, 0, order) + _node(Node(STUDY, b"UI", b"1.2.3.4\0"), order, implicit=implicit)
    return deflate(plain) if syntax == DEFLATED else plain


SYNTAXES = (EXPLICIT, IMPLICIT, BIG, DEFLATED, JPEG)


def ends_early(data: bytes, syntax: str) -> bool:
    """Whether an element of the top level is longer than what came, read without any care for size.

    Only where everything before it can be followed: what is no data set has no lengths.
    """
    if syntax == DEFLATED:
        return False
    order, at = ">" if syntax == BIG else "<", 0
    try:
        while at + 8 <= len(data):
            at = _after(data, at, order, implicit=syntax == IMPLICIT)
    except (_NoDataSet, _Open):
        return False
    return at > len(data)


class _NoDataSet(Exception):
    """It cannot be followed."""


class _Open(Exception):
    """It ends within something whose length nobody told."""


def _head(data: bytes, at: int, order: str, *, implicit: bool) -> tuple[int, bytes, int, int]:
    """Tag, VR, where the value begins, and its length."""
    group, element, vr, short = struct.unpack_from(order + "HH2sH", data, at)
    if group == 0xFFFE:
        raise _NoDataSet
    if implicit:
        return group << 16 | element, b"", at + 8, struct.unpack_from(order + "I", data, at + 4)[0]
    if vr in LONG:
        if at + 12 > len(data):
            raise _Open
        return group << 16 | element, vr, at + 12, struct.unpack_from(order + "I", data, at + 8)[0]
    if vr not in SHORT:
        raise _NoDataSet
    return group << 16 | element, vr, at + 8, short


def _after(data: bytes, at: int, order: str, *, implicit: bool) -> int:
    """Where the element at ``at`` ends."""
    _tag, vr, start, length = _head(data, at, order, implicit=implicit)
    if length != UNDEFINED:
        return start + length
    return _after_items(data, start, order, implicit=implicit or vr == b"UN")


def _after_items(data: bytes, at: int, order: str, *, implicit: bool) -> int:
    """Where a sequence of undefined length ends, without recursion: (is it an item, is it implicit) of each level."""
    levels = [(False, implicit)]
    while levels:
        if at + 8 > len(data):
            raise _Open
        in_item, implicit = levels[-1]
        group, element, length = struct.unpack_from(order + "HHI", data, at)
        tag = group << 16 | element
        if tag == (ITEM_END if in_item else SEQUENCE_END):
            levels.pop()
            at += 8
        elif in_item:
            _inner, vr, start, length = _head(data, at, order, implicit=implicit)
            at = start if length == UNDEFINED else start + length
            if length == UNDEFINED:
                levels.append((False, implicit or vr == b"UN"))
        elif tag != ITEM:
            raise _NoDataSet
        else:
            at = at + 8 if length == UNDEFINED else at + 8 + length
            if length == UNDEFINED:
                levels.append((True, implicit))
    return at
