"""Headers that are longer than a line may be: the longest values are left out, as bulk data are (docs/formats.md 3)."""

import json
from typing import Any

from contracts.formats.lines import LINE_LIMIT

Header = dict[str, dict[str, Any]]
#: What a line has beside the header, and more, bytes.
_ROOM = LINE_LIMIT - 1024


def abridge(header: Header) -> tuple[Header, bool]:
    """The header without the values of its longest attributes, as few as need be, and whether any was left out."""
    sizes = {tag: _size(told) for tag, told in header.items()}
    excess = sum(sizes.values()) - _ROOM
    left_out = set()
    for tag in sorted(sizes, key=lambda tag: sizes[tag], reverse=True):
        if excess <= 0:
            break
        left_out.add(tag)
        excess -= sizes[tag] - _size({"vr": "UN"})
    if not left_out:
        return header, False
    return {tag: {"vr": told["vr"]} if tag in left_out else told for tag, told in header.items()}, True


def _size(told: dict[str, Any]) -> int:
    """Bytes of an attribute with its tag in a line."""
    return len(json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")) + 12
