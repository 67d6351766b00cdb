"""docs/formats.md: its example is what the code makes, and a reader written from the page alone reads it."""

import ast
import hashlib
import hmac
import io
import json
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pydicom
import pytest
from blake3 import blake3
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap_with_padding

from tests.unit.formats import example
from tests.unit.formats.oracle import tink_decrypt

ROOT = Path(__file__).parents[3]
PAGE = example.PAGE.read_text(encoding="utf-8")


def blocks() -> list[str]:
    """The example's blocks as they stand in the page: manifest, headers, study key record, sealed pack."""
    return re.findall(r"```\w+\n(.*?)\n```", example.between_marks(), flags=re.DOTALL)


def hkdf_sha512(key: bytes, salt: bytes, info: bytes) -> bytes:
    """RFC 5869 by hand, one block cut to 32 bytes."""
    return hmac.digest(hmac.digest(salt, key, "sha512"), info + b"\x01", "sha512")[:32]


def read_pack(
    pack: bytes, record: dict[str, Any], kek: bytes
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], bytes]:
    """Head and instances, headers, archive of a sealed pack: nothing here but the page, Tink, AES-KWP and JSON."""
    assert pack[:16] == b"causeway.sealed\n"
    length = int.from_bytes(pack[16:20], "big")
    raw = pack[20 : 20 + length]
    header = json.loads(raw)
    assert header["format"] == "causeway.sealed/1"
    assert (header["study_key_id"], header["key_domain"]) == (record["id"], record["domain"])
    assert record["kek_id"] == hashlib.sha256(b"kek-id" + kek).hexdigest()[:16]
    study_key = aes_key_unwrap_with_padding(kek, bytes.fromhex(record["wrapped"]))
    object_key = aes_key_unwrap_with_padding(study_key, bytes.fromhex(header["wrapped_object_key"]))
    committed = hkdf_sha512(object_key, bytes.fromhex(header["commitment_salt"]), b"commit")
    assert committed.hex() == header["commitment"]
    plaintext = tink_decrypt(object_key, raw, pack[20 + length :])
    sections = header["sections"]
    middle = sections["manifest"] + sections["headers"]
    assert len(plaintext) == middle + sections["archive"]
    manifest = [json.loads(line) for line in plaintext[: sections["manifest"]].splitlines()]
    headers = [json.loads(line) for line in plaintext[sections["manifest"] : middle].splitlines()]
    return manifest, headers, plaintext[middle:]


def sha256(data: bytes) -> str:
    """As the page writes digests."""
    return hashlib.sha256(data).hexdigest()


def check_instance(instance: dict[str, Any], archive: bytes) -> bytes:
    """The file of an instance, every digest of the manifest compared."""
    file = archive[instance["offset"] : instance["offset"] + instance["length"]]
    dataset = file[instance["dataset_offset"] :]
    pixels = dataset[instance["pixel_offset"] : instance["pixel_offset"] + instance["pixel_length"]]
    assert sha256(file[: instance["dataset_offset"]]) == instance["meta_sha256"]
    assert zlib.crc32(file) == instance["crc32"]
    assert sha256(dataset) == instance["dataset_sha256"]
    assert sha256(dataset[: instance["header_length"]]) == instance["header_sha256"]
    assert blake3(pixels).hexdigest() == instance["pixel_blake3"]
    return file


def test_the_example_in_the_page_is_what_the_code_makes() -> None:
    """Run ``python -m tests.unit.formats.example`` if a format grew; for a released one this must not change."""
    assert example.between_marks() == example.rendered()


def test_a_reader_written_from_the_page_reads_the_example() -> None:
    """From the hexadecimal digits in the page to a file that pydicom opens."""
    manifest_text, headers_text, record_text, digits = blocks()
    (head, instance), headers, archive = read_pack(bytes.fromhex(digits), json.loads(record_text), example.KEK)
    assert head["format"] == "causeway.manifest/1"
    assert [head, instance] == [json.loads(line) for line in manifest_text.splitlines()]
    assert headers == [json.loads(headers_text)]
    dataset = pydicom.dcmread(io.BytesIO(check_instance(instance, archive)))
    assert dataset.SOPInstanceUID == instance["sop_instance_uid"]
    assert dataset.file_meta.TransferSyntaxUID == instance["transfer_syntax"]
    frame = instance["pixels"]
    start = instance["offset"] + instance["dataset_offset"] + frame["offset"]
    assert archive[start : start + frame["size"]] == dataset.PixelData


def test_the_archive_of_the_example_is_a_zip_as_the_page_says() -> None:
    """Stored, of 1980, without data descriptors, data 40 bytes behind its header."""
    archive = read_pack(bytes.fromhex(blocks()[3]), json.loads(blocks()[2]), example.KEK)[2]
    with zipfile.ZipFile(io.BytesIO(archive)) as found:
        (info,) = found.infolist()
        assert found.read("000001.dcm") == example.FILE
    assert (info.compress_type, info.flag_bits, info.date_time[0], info.header_offset) == (0, 0, 1980, 0)
    assert archive[40 : 40 + len(example.FILE)] == example.FILE


def codes_raised_by_formats() -> set[str]:
    """Every code in ``contracts/formats``: its constants of words joined by hyphens,"""
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "contracts" / "formats").glob("*.py"))
    nodes = (node for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    texts = {node.value for node in nodes if isinstance(node.value, str)}
    return {text for text in texts if re.fullmatch(r"[a-z]+(-[a-z]+)+", text)}


def codes_of_services() -> set[str]:
    """What ingest says of headers and deid of withheld instances, read from their sources."""
    ingest = "\n".join(path.read_text() for path in (ROOT / "services" / "dicom_ingest" / "domain").rglob("*.py"))
    deid = (ROOT / "services" / "deid" / "domain" / "withholding.py").read_text()
    reasons = re.findall(r"^    [A-Z_]+ = \"([a-z-]+)\"", deid, flags=re.MULTILINE)
    return {*re.findall(r"Malformed\(\"([a-z-]+)\"\)", ingest), *reasons}


@pytest.mark.parametrize("codes", [codes_raised_by_formats, codes_of_services], ids=["formats", "services"])
def test_every_code_is_explained_in_the_page(codes: Any) -> None:
    """A code that nobody can look up is no reason."""
    assert codes(), "found none: the test looks in the wrong place"
    assert {code for code in codes() if f"`{code}`" not in PAGE} == set()
