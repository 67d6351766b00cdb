"""What a cleaner made of one file: its bytes, its values, and what each of them says as text."""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.uid import UID

#: The digits of new UIDs are random: any number may be among them.
_NEW_UID = re.compile(rb"2\.25\.\d{20,39}")
_STEP = re.compile(r"\(([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\)(?:\[(\d+)\])?")


@dataclass(frozen=True)
class Output:
    """The file that came of the original ``name`` of the corpus."""

    name: str
    data: bytes

    @cached_property
    def dataset(self) -> Dataset:
        """Parsed; its pixels as well."""
        return dcmread(BytesIO(self.data))

    @cached_property
    def raw(self) -> bytes:
        """The bytes to search, inflated where they are deflated, in lower case and without new UIDs."""
        return _NEW_UID.sub(b"", self.inflated).lower()

    @cached_property
    def inflated(self) -> bytes:
        """The file's bytes, and what is deflated in them once more inflated."""
        if not UID(self.dataset.file_meta.TransferSyntaxUID).is_deflated:
            return self.data
        start = 144 + int.from_bytes(self.data[140:144], "little")
        return self.data + zlib.decompressobj(-zlib.MAX_WBITS).decompress(self.data[start:])

    @cached_property
    def texts(self) -> dict[str, str]:
        """Every value as text in lower case, by its path."""
        found = {f"(0002,{element.tag.elem:04X})": str(element.value).lower() for element in self.dataset.file_meta}
        found.update(_texts(self.dataset, ""))
        return found

    @cached_property
    def uids(self) -> frozenset[str]:
        """All that is written like a UID."""
        return frozenset(re.findall(r"\d+(?:\.\d+)+", "\0".join(self.texts.values())))

    def value(self, path: str, creator: str | None = None) -> Any:
        """The value at ``(gggg,eeee)[item]/(gggg,eeee)``, None when it is not there."""
        return value_at(self.dataset, path, creator)


def _texts(dataset: Dataset, above: str) -> Iterator[tuple[str, str]]:
    for element in dataset:
        path = f"{above}({element.tag.group:04X},{element.tag.elem:04X})"
        if element.VR == "SQ":
            for number, item in enumerate(element.value):
                yield from _texts(item, f"{path}[{number}]/")
        elif isinstance(element.value, bytes):
            yield path, element.value[:65536].decode("latin-1").lower()
        else:
            yield path, str(element.value).lower()


def value_at(dataset: Dataset, path: str, creator: str | None = None) -> Any:
    """The value at a path; a private one wherever the block of its creator is (PS3.5 section 7.8.1)."""
    step, _, rest = path.partition("/")
    match = _STEP.fullmatch(step)
    if match is None:
        return None
    group, number, item = match.groups()
    found: Any = dataset
    if group == "0002":
        found = dataset.file_meta
    elif creator and int(group, 16) % 2:
        number = _in_block(dataset, int(group, 16), int(number, 16), creator)
    tag = int(group + number, 16)
    if tag not in found:
        return None
    value = found[tag].value
    if item is None or not rest:
        return value
    return value_at(value[int(item)], rest, creator) if _has_item(value, int(item)) else None


def _has_item(value: Any, item: int) -> bool:
    return not isinstance(value, bytes | str | None) and item < len(value)


def _in_block(dataset: Dataset, group: int, number: int, creator: str) -> str:
    for block in range(0x10, 0x100):
        element = dataset.get((group, block))
        if element is not None and str(element.value).strip() == creator:
            return f"{block << 8 | number & 0xFF:04X}"
    return f"{number:04X}"
