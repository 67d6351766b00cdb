"""Instances made up for the formats: the bytes need not be DICOM, the formats never look into them."""

import hashlib
import zlib
from collections.abc import Callable, Iterator

from blake3 import blake3

from contracts.formats.manifest import Instance, Manifest, place


def describe(content: bytes, number: int = 1, **more: object) -> Instance:
    """An instance whose file is ``content``; its data set begins at byte 4, its pixels are the last 8 bytes."""
    dataset = content[4:]
    pixel_offset = max(len(dataset) - 8, 0)
    facts: dict[str, object] = {
        "length": len(content),
        "crc32": zlib.crc32(content),
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2",
        "sop_instance_uid": f"1.2.3.{number}",
        "study_uid": "1.2.3",
        "series_uid": "1.2.3.4",
        "transfer_syntax": "1.2.840.10008.1.2.1",
        "dataset_offset": 4,
        "meta_sha256": hashlib.sha256(content[:4]).hexdigest(),
        "dataset_sha256": hashlib.sha256(dataset).hexdigest(),
        "header_sha256": hashlib.sha256(dataset[:pixel_offset]).hexdigest(),
        "header_length": pixel_offset,
        "pixel_blake3": blake3(dataset[pixel_offset:]).hexdigest(),
        "pixel_offset": pixel_offset,
        "pixel_length": len(dataset) - pixel_offset,
    }
    return Instance.model_validate(facts | more)


def manifest_of(contents: list[bytes], named: str = "batch-1", **more: object) -> Manifest:
    """The manifest of a batch of these files."""
    instances = tuple(place(describe(content, number) for number, content in enumerate(contents, start=1)))
    facts: dict[str, object] = {"form": "identified", "id": named, "study_uid": "1.2.3", "study_ref": "ab" * 16}
    return Manifest.model_validate(facts | {"instances": instances} | more)


def opener(contents: list[bytes], chunk: int = 1000) -> Callable[[Instance], Iterator[bytes]]:
    """``open_file`` over files in memory, in chunks."""

    def open_file(instance: Instance) -> Iterator[bytes]:
        content = contents[int(instance.entry[:6]) - 1]
        return (content[start : start + chunk] for start in range(0, len(content), chunk))

    return open_file
