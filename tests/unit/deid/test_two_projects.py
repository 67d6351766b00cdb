"""The same study to two projects: nothing that goes out says that it is the same, but the pixels themselves."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import UID

from contracts.formats.manifest import read_manifest
from services.deid.domain.packing import CleanPack, Original, clean_pack, pack_id_of
from tests.support.instances import CANARY, as_file, make_instances
from tests.unit.deid.originals import describe, project
from tests.unit.deid.test_packing import workspace

_UID = re.compile(r"\b[0-2](?:\.\d+){3,}")


def packed(files: list[bytes], secret: bytes) -> CleanPack:
    """The pack of ``files`` for the project with this key."""
    using = project(secret)
    originals = [Original(describe(file), (lambda file=file: [file],)) for file in files]
    return clean_pack(pack_id_of("source", using), originals, using, workspace())


def told(pack: CleanPack) -> str:
    """Manifest and headers: all that goes out but the files."""
    return b"".join([*pack.manifest.chunks(), *pack.headers.chunks()]).decode()


def digests(pack: CleanPack) -> set[str]:
    """Every digest of a manifest."""
    instances = read_manifest(list(pack.manifest.chunks())).instances
    return {
        str(value)
        for one in instances
        for name, value in one.model_dump().items()
        if value and ("sha256" in name or "blake3" in name or name == "crc32")
    }


def _headers(pack: CleanPack) -> list[dict[str, Any]]:
    lines = b"".join(pack.headers.chunks()).splitlines()
    return [value for line in lines for value in json.loads(line).values() if isinstance(value, dict)]


def _check(files: list[bytes]) -> None:
    one, other = packed(files, b"p" * 32), packed(files, b"q" * 32)
    assert one.released and len(one.released) == len(other.released)
    assert one.pack_id != other.pack_id
    shared = {uid for uid in _UID.findall(told(one)) if uid in told(other)}
    assert [uid for uid in shared if UID(uid).name == uid] == []
    assert digests(one) & digests(other) == set()
    patients = [{header["00100020"]["Value"][0] for header in _headers(pack)} for pack in (one, other)]
    assert patients[0] & patients[1] == set()


def test_a_study_made_here_cannot_be_joined() -> None:
    """UIDs, digests, pseudonyms, pack ids."""
    _check([as_file(each) for each in make_instances(12, canary=CANARY)])


def test_real_studies_cannot_be_joined(corpus: Path) -> None:
    """The same with files of scanners."""
    folder = corpus / "deid" / "planted" / "series"
    if not folder.is_dir():
        pytest.skip("no planted corpus in CAUSEWAY_TEST_DATA")
    _check([path.read_bytes() for path in sorted(folder.iterdir())])


def test_the_order_of_entries_is_each_projects_own() -> None:
    """By new UID: the order of one says nothing of that of the other, nor of when the originals were made."""
    files = [as_file(each) for each in make_instances(12, canary=CANARY)]
    orders = []
    for secret in (b"p" * 32, b"q" * 32):
        orders.append([header["00200013"]["Value"][0] for header in _headers(packed(files, secret))])
    assert orders[0] != orders[1] != sorted(orders[1]) and orders[0] != sorted(orders[0])


def test_the_shift_of_dates_is_each_projects_own() -> None:
    """Of many patients, hardly any has the same in both."""
    keys = [project(secret).key for secret in (b"p" * 32, b"q" * 32)]
    same = [
        number for number in range(200)
        if len({key.days(key.patient("H", f"P{number}", "1.2")) for key in keys}) == 1
    ]  # fmt: skip
    assert len(same) < 6
