"""What a pack leaves out of a batch, because it holds that already or another pack does (docs/formats.md section 4).

Told as numbers of the batch's entries, counted from 1, in ranges: ``1-30,45``; the empty text leaves nothing out.
"""

import re
from collections.abc import Iterable

from contracts.formats.errors import ManifestBroken
from contracts.formats.manifest import INSTANCE_LIMIT, Manifest

_RANGE = re.compile(r"([1-9][0-9]{0,5})(?:-([1-9][0-9]{0,5}))?")


def write_numbers(numbers: Iterable[int]) -> str:
    """Entry numbers as text: the same numbers in any order give the same text."""
    ranges: list[list[int]] = []
    for number in sorted(set(numbers)):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def read_numbers(text: str) -> frozenset[int]:
    """Entry numbers from text; ManifestBroken when they do not ascend, or are no numbers of entries."""
    numbers: set[int] = set()
    latest = 0
    for part in text.split(",") if text else ():
        found = _RANGE.fullmatch(part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not latest < first <= last <= INSTANCE_LIMIT:
            raise ManifestBroken("left-out")
        numbers.update(range(first, last + 1))
        latest = last
    return frozenset(numbers)


def without(manifest: Manifest, numbers: frozenset[int]) -> Manifest:
    """The manifest of a batch without these entries; the others keep their names and places in the batch's archive.

    ManifestBroken for a number that the batch has no entry of.
    """
    if not numbers:
        return manifest
    if max(numbers) > len(manifest.instances):
        raise ManifestBroken("left-out")
    kept = tuple(each for number, each in enumerate(manifest.instances, start=1) if number not in numbers)
    return manifest.model_copy(update={"instances": kept})
