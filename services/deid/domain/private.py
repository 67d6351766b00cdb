"""Private attributes that are known to be safe (PS3.15 section E.3.10): found by creator, wherever their block lies."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from services.deid.domain.dataset import Element, Elements
from services.deid.domain.values import BINARY

CHARACTERISTICS = 0x00080300
GROUP, CREATOR, STATUS, NON_IDENTIFYING = 0x00080301, 0x00080302, 0x00080303, 0x00080304

#: By group, creator and the last two digits of the element.
Safe = Mapping[tuple[int, str, int], str]


class Declared(NamedTuple):
    """What the object itself says of its private blocks (PS3.3 section C.12.1.1.7): safe blocks, and safe elements."""

    blocks: frozenset[tuple[int, str]] = frozenset()
    elements: frozenset[tuple[int, str, int]] = frozenset()


class Block(NamedTuple):
    """A reserved block: its Private Creator element and the name in it."""

    creator: Element
    name: str


class PrivateBlocks(NamedTuple):
    """The private blocks of one level, by the upper 24 bits of the tags in them."""

    blocks: Mapping[int, Block]
    safe: Safe
    declared: Declared

    def block(self, tag: int) -> Block | None:
        """The block that ``tag`` is in; None for orphans."""
        return self.blocks.get(tag >> 8)

    def safe_vr(self, element: Element, block: Block) -> str | None:
        """The VR of an element of ``block`` that is known to be safe, None for any other.

        The list gives the VR of what it knows; what the object declares safe has the VR that it came with. Bytes do
        not go out on the word of the object alone: nobody can say what is in them.
        """
        group, number = element.tag >> 16, element.tag & 0xFF
        listed = self.safe.get((group, block.name, number))
        if listed:
            return listed
        declared = (
            listed is not None
            or (group, block.name) in self.declared.blocks
            or (group, block.name, number) in self.declared.elements
        )
        return element.vr if declared and element.vr not in BINARY else None

    def is_listed(self, element: Element, block: Block) -> bool:
        """Whether the list has an element of ``block``, so that it is not safe on the word of the object alone."""
        return bool(self.safe.get((element.tag >> 16, block.name, element.tag & 0xFF)))


def is_private(tag: int) -> bool:
    """Whether the group is odd (PS3.5 section 7.8)."""
    return bool(tag >> 16 & 1)


def is_creator(tag: int) -> bool:
    """Whether the attribute is a Private Creator: (gggg,0010-00FF)."""
    return is_private(tag) and 0x10 <= tag & 0xFFFF <= 0xFF


def blocks_of(elements: Elements, safe: Safe, declared: Declared) -> PrivateBlocks:
    """The blocks of a level; a block is reserved where its elements are (PS3.5 section 7.8.1)."""
    blocks = {
        (each.tag >> 16) << 8 | each.tag & 0xFF: Block(each, each.value.decode("latin-1").strip(" \0"))
        for each in elements
        if is_creator(each.tag) and each.vr in ("LO", "UN") and each.items is None
    }
    return PrivateBlocks(blocks, safe, declared)


def declared_of(elements: Elements) -> Declared:
    """What Private Data Element Characteristics Sequence (0008,0300) says; nothing where it is malformed."""
    items = next((each.items for each in elements if each.tag == CHARACTERISTICS), None)
    blocks: set[tuple[int, str]] = set()
    numbers: set[tuple[int, str, int]] = set()
    for item in items or ():
        values = {each.tag: each.value for each in item}
        group, creator = _numbers(values.get(GROUP, b"")), values.get(CREATOR, b"").decode("latin-1").strip(" \0")
        status = values.get(STATUS, b"").strip(b" \0")
        if len(group) != 1 or not creator:
            continue
        if status == b"SAFE":
            blocks.add((group[0], creator))
        elif status == b"MIXED":
            numbers.update((group[0], creator, number) for number in _numbers(values.get(NON_IDENTIFYING, b"")))
    return Declared(frozenset(blocks), frozenset(numbers))


def _numbers(value: bytes) -> tuple[int, ...]:
    """US values, little endian: a big-endian object's declaration names groups that it does not have."""
    return tuple(int.from_bytes(value[at : at + 2], "little") for at in range(0, len(value) - 1, 2))


def in_order(elements: Iterable[Element]) -> Elements:
    """The elements by tag: a creator is taken in with the first element of its block."""
    return tuple(sorted(elements, key=lambda each: each.tag))
