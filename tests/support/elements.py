"""What a data set holds, whichever way it is encoded."""

from collections.abc import Iterator
from io import BytesIO

from pydicom import Dataset
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.filereader import read_dataset

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
Path = tuple[int, ...]


def read(data: bytes, syntax: str) -> Dataset:
    """A native data set."""
    return read_dataset(BytesIO(data), is_implicit_VR=syntax == IMPLICIT, is_little_endian=syntax != BIG_ENDIAN)


def values(dataset: Dataset, at: Path = ()) -> Iterator[tuple[Path, bytes | int]]:
    """Every value as its bytes, and of each sequence how many items it has, by tags and numbers of items.

    Lengths of groups are left out: they speak of the encoding. Of a sequence that is written as UN with a length its
    bytes are told.
    """
    raw = [(tag, dataset.get_item(tag)) for tag in list(dataset.keys())]  # before one is decoded, and others with it
    for tag, (vr, content) in [(tag, (element.VR, element.value)) for tag, element in raw]:
        if vr == "SQ" or (vr is None and dictionary_has_tag(tag) and dictionary_VR(tag) == "SQ"):
            items = dataset[tag].value
            yield (*at, tag), len(items)
            for number, item in enumerate(items):
                yield from values(item, (*at, tag, number))
        elif vr == "UN" and not isinstance(content, bytes | None):
            yield (*at, tag), len(content)
            for number, item in enumerate(content):
                yield from values(item, (*at, tag, number))
        elif tag & 0xFFFF:
            yield (*at, tag), content or b""
