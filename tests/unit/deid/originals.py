"""Originals for the tests: Part 10 files described as ingest's manifest describes them."""

import hashlib
import struct
import zlib
from io import BytesIO

from blake3 import blake3
from pydicom import dcmread
from pydicom.filereader import read_dataset
from pydicom.uid import UID

from contracts.formats.manifest import Instance, NativeFrames
from services.deid.domain.dataset import PIXEL_DATA
from services.deid.domain.options import Option
from services.deid.domain.part10 import Cleaned, Project, clean_file
from services.deid.domain.profile import BASIC_PROFILE, Profile
from services.deid.domain.pseudonyms import ProjectKey
from services.deid.domain.rules import standard_rules
from services.deid.domain.withholding import standard_refusal

DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"


def project(secret: bytes = b"p" * 32) -> Project:
    """A project with a known key."""
    return Project("research", ProjectKey(secret), standard_rules(), standard_refusal())


def trusting(secret: bytes = b"p" * 32, profile: Profile = BASIC_PROFILE) -> Project:
    """A project that withholds no kind of object: for tests of the header alone."""
    return Project("research", ProjectKey(secret), standard_rules(), lambda elements: None, profile)


def choosing(*options: Option) -> Project:
    """The same with these options."""
    return trusting(profile=Profile("chosen", options=frozenset(options)))


def describe(file: bytes) -> Instance:
    """What ingest's manifest says of ``file``, found with pydicom."""
    header = dcmread(BytesIO(file), stop_before_pixels=True, force=True)
    syntax = UID(header.file_meta.TransferSyntaxUID)
    start = _dataset_offset(file)
    data = file[start:]
    facts = _pixels(data, syntax) if not syntax.is_deflated else {"header_length": len(data)}
    return Instance(
        length=len(file),
        crc32=zlib.crc32(file),
        sop_class_uid=str(header.SOPClassUID),
        sop_instance_uid=str(header.SOPInstanceUID),
        study_uid=str(header.get("StudyInstanceUID", "")) or None,
        series_uid=str(header.get("SeriesInstanceUID", "")) or None,
        transfer_syntax=str(syntax),
        dataset_offset=start,
        meta_sha256=_sha256(file[:start]),
        dataset_sha256=_sha256(data),
        header_sha256=_sha256(data[: facts["header_length"]]),
        **facts,
    )


def _dataset_offset(file: bytes) -> int:
    """Preamble, prefix and group length are followed by as many bytes of File Meta Information (PS3.10 7.1)."""
    (length,) = struct.unpack_from("<I", file, 140)
    return 144 + length


def _pixels(data: bytes, syntax: UID) -> dict[str, object]:
    stream = BytesIO(data)
    read_dataset(
        stream, syntax.is_implicit_VR, syntax.is_little_endian, stop_when=lambda tag, vr, length: tag in PIXEL_DATA
    )
    header_length = stream.tell()
    if header_length == len(data):
        return {"header_length": header_length}
    start = header_length + (8 if syntax.is_implicit_VR else 12)
    (length,) = struct.unpack_from("<I" if syntax.is_little_endian else ">I", data, start - 4)
    if length == 0xFFFFFFFF:
        length = data.rindex(DELIMITER) + len(DELIMITER) - start
    return {
        "header_length": header_length,
        "pixel_offset": start,
        "pixel_length": length,
        "pixel_blake3": blake3(data[start : start + length]).hexdigest(),
        "pixels": NativeFrames(offset=start, size=length, count=1),
    }


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def clean(file: bytes, using: Project | None = None) -> tuple[Cleaned, bytes]:
    """The cleaned file and its line of the manifest; Withheld when it may not go out."""
    sink = BytesIO()
    cleaned = clean_file(BytesIO(file), describe(file), using or project(), sink)
    return cleaned, sink.getvalue()
