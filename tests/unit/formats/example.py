"""The worked example of docs/formats.md section 8: a pack with counted-up keys, so that it is always the same bytes.

``python -m tests.unit.formats.example`` writes it into the page.
"""

import hashlib
import re
import struct
import tempfile
import zlib
from pathlib import Path

from blake3 import blake3

from contracts.events.common import Sections
from contracts.formats.archive import iterate, layout
from contracts.formats.headers import header_line
from contracts.formats.keys import FileKeyEncryptionKeys, StudyKeyRecord
from contracts.formats.manifest import Instance, Manifest, NativeFrames, Routing, place, write_manifest
from contracts.formats.sealed import prepare, seal

PAGE = Path(__file__).parents[3] / "docs" / "formats.md"
MARKS = ("<!-- example: made by `python -m tests.unit.formats.example` -->\n", "<!-- end of the example -->\n")
STUDY_KEY, OBJECT_KEY, KEK = (bytes(range(start, start + 32)) for start in (0x00, 0x20, 0x40))
STUDY, SERIES, INSTANCE = "1.2.826.0.1.1", "1.2.826.0.1.1.1", "1.2.826.0.1.1.1.1"
CT, SYNTAX = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"


def counted(size: int) -> bytes:
    """The randomness of the example."""
    return bytes(range(0x80, 0x80 + size))


def element(tag: int, vr: str, value: bytes | str) -> bytes:
    """One element in Explicit VR Little Endian (PS3.5 section 7.1.2)."""
    data = value.encode() if isinstance(value, str) else value
    data += (b"\x00" if vr == "UI" else b" ") * (len(data) % 2)
    length = struct.pack("<HL", 0, len(data)) if vr == "OW" else struct.pack("<H", len(data))
    return struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode()) + length + data


HEADER = b"".join(
    (
        element(0x00080016, "UI", CT),
        element(0x00080018, "UI", INSTANCE),
        element(0x00080060, "CS", "CT"),
        element(0x0020000D, "UI", STUDY),
        element(0x0020000E, "UI", SERIES),
        element(0x00280010, "US", struct.pack("<H", 2)),
        element(0x00280011, "US", struct.pack("<H", 2)),
        element(0x00280100, "US", struct.pack("<H", 16)),
    )
)
PIXELS = struct.pack("<4H", 1, 2, 3, 4)
DATASET = HEADER + element(0x7FE00010, "OW", PIXELS)
META = element(0x00020002, "UI", CT) + element(0x00020003, "UI", INSTANCE) + element(0x00020010, "UI", SYNTAX)
FILE = bytes(128) + b"DICM" + element(0x00020000, "UL", struct.pack("<L", len(META))) + META + DATASET


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def manifest() -> Manifest:
    """The manifest of the example."""
    pixel_offset = len(DATASET) - len(PIXELS)
    instance = Instance(
        length=len(FILE),
        crc32=zlib.crc32(FILE),
        sop_class_uid=CT,
        sop_instance_uid=INSTANCE,
        study_uid=STUDY,
        series_uid=SERIES,
        transfer_syntax=SYNTAX,
        dataset_offset=len(FILE) - len(DATASET),
        meta_sha256=_sha256(FILE[: -len(DATASET)]),
        dataset_sha256=_sha256(DATASET),
        header_sha256=_sha256(HEADER),
        header_length=len(HEADER),
        pixel_blake3=blake3(PIXELS).hexdigest(),
        pixel_offset=pixel_offset,
        pixel_length=len(PIXELS),
        pixels=NativeFrames(offset=pixel_offset, size=len(PIXELS), count=1),
        routing=Routing(modality="CT"),
    )
    facts = {"form": "identified", "id": "70" * 16, "study_uid": STUDY, "study_ref": "57" * 16}
    return Manifest.model_validate(facts | {"instances": tuple(place([instance]))})


def headers() -> bytes:
    """The headers section of the example."""
    tags = {"00080060": ("CS", "CT"), "00280010": ("US", 2), "00280011": ("US", 2), "00280100": ("US", 16)}
    return header_line("000001.dcm", {tag: {"vr": vr, "Value": [value]} for tag, (vr, value) in tags.items()})


def study_key_record() -> StudyKeyRecord:
    """The record of the example's study key, wrapped by the file provider."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hospital.kek"
        path.touch(mode=0o600)
        path.write_bytes(KEK)
        kek_id, wrapped = FileKeyEncryptionKeys(Path(folder)).wrap("hospital", STUDY_KEY)
    return StudyKeyRecord(id="6b" * 16, domain="hospital", kek_id=kek_id, wrapped=wrapped.hex())


def sealed_pack() -> bytes:
    """The sealed pack of the example."""
    lines, described = write_manifest(manifest()), headers()
    total = layout(manifest().instances).total
    header = prepare(
        sealed_id="5e" * 16,
        form="identified",
        key_domain="hospital",
        study_key_id="6b" * 16,
        study_key=STUDY_KEY,
        object_key=OBJECT_KEY,
        sections=Sections(manifest=len(lines), headers=len(described), archive=total),
        randomness=counted,
    )
    archive = iterate(manifest().instances, lambda _: [FILE])
    return b"".join(seal([lines, described, *archive], header, OBJECT_KEY, counted))


def _block(title: str, language: str, text: str) -> str:
    return f"{title}\n\n```{language}\n{text.rstrip()}\n```\n\n"


def rendered() -> str:
    """What stands in the page between the marks."""
    pack = sealed_pack()
    rows = "\n".join(pack[start : start + 32].hex() for start in range(0, len(pack), 32))
    return (
        _block("The manifest:", "json", write_manifest(manifest()).decode())
        + _block("The headers:", "json", headers().decode())
        + _block("The study key's record:", "json", study_key_record().to_bytes().decode())
        + _block(f"The sealed pack, {len(pack)} bytes in hexadecimal, 32 to a line:", "text", rows)
    )


def between_marks() -> str:
    """What the page has there now."""
    text = PAGE.read_text(encoding="utf-8")
    return text[text.index(MARKS[0]) + len(MARKS[0]) : text.index(MARKS[1])]


def main() -> None:
    """Write the example into the page."""
    text = PAGE.read_text(encoding="utf-8")
    pattern = re.escape(MARKS[0]) + ".*" + re.escape(MARKS[1])
    page = re.sub(pattern, lambda _: MARKS[0] + rendered() + MARKS[1], text, flags=re.DOTALL)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
