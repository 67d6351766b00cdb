"""The key tree: what wraps opens, what is lost shreds, what lies about too openly is refused."""

import os
import stat
from pathlib import Path

import pytest

from contracts.formats.errors import KeyMissing, KeyRefused
from contracts.formats.keys import FileKeyEncryptionKeys, StudyKeyRecord, kek_id_of, new_study_key


@pytest.fixture
def keys(tmp_path: Path) -> FileKeyEncryptionKeys:
    """A directory with the key of one domain."""
    keys = FileKeyEncryptionKeys(tmp_path / "kek")
    keys.create("hospital")
    return keys


def test_a_study_key_comes_back_out_of_its_record(keys: FileKeyEncryptionKeys) -> None:
    """Through bytes, as the key store holds them."""
    record, key = new_study_key("s1", "hospital", keys)
    assert StudyKeyRecord.parse(record.to_bytes()).open(keys) == key
    assert key.hex() not in record.to_bytes().decode()


def test_two_study_keys_are_not_the_same(keys: FileKeyEncryptionKeys) -> None:
    """Each is random: nothing is derived from an id."""
    assert new_study_key("s1", "hospital", keys)[1] != new_study_key("s1", "hospital", keys)[1]


def test_creating_again_keeps_the_key(keys: FileKeyEncryptionKeys, tmp_path: Path) -> None:
    """A restart, or a second process, never replaces a key under which something may be wrapped."""
    before = (tmp_path / "kek" / "hospital.kek").read_bytes()
    assert keys.create("hospital") == kek_id_of(before)
    keys._write(tmp_path / "kek" / "hospital.kek", bytes(32))
    assert (tmp_path / "kek" / "hospital.kek").read_bytes() == before
    assert os.listdir(tmp_path / "kek") == ["hospital.kek"]


def test_a_created_key_is_readable_by_its_owner_alone(keys: FileKeyEncryptionKeys, tmp_path: Path) -> None:
    """Mode 0600 in a directory of mode 0700."""
    assert stat.S_IMODE((tmp_path / "kek" / "hospital.kek").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "kek").stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_a_key_file_that_others_can_read_is_refused(keys: FileKeyEncryptionKeys, tmp_path: Path, mode: int) -> None:
    """A key that others may have read is no key."""
    (tmp_path / "kek" / "hospital.kek").chmod(mode)
    with pytest.raises(KeyRefused, match="kek-file-mode"):
        keys.wrap("hospital", bytes(32))


@pytest.mark.parametrize("content", [b"", bytes(31), bytes(33)])
def test_a_key_file_of_another_size_is_refused(keys: FileKeyEncryptionKeys, tmp_path: Path, content: bytes) -> None:
    """A file cut by a crash must not become a weak key."""
    (tmp_path / "kek" / "hospital.kek").write_bytes(content)
    with pytest.raises(KeyRefused, match="kek-file-size"):
        keys.wrap("hospital", bytes(32))


@pytest.mark.parametrize("domain", ["other", "", "../hospital", "Hospital", "a/b", "x" * 100])
def test_a_domain_without_a_key_is_missing(keys: FileKeyEncryptionKeys, domain: str) -> None:
    """And a name that is no domain never becomes a path."""
    with pytest.raises(KeyMissing):
        keys.wrap(domain, bytes(32))


def test_a_retired_key_still_opens_what_it_wrapped(keys: FileKeyEncryptionKeys, tmp_path: Path) -> None:
    """Rotation: the old key is kept under its id until every record is wrapped anew."""
    record, key = new_study_key("s1", "hospital", keys)
    (tmp_path / "kek" / "hospital.kek").rename(tmp_path / "kek" / f"hospital.{record.kek_id}.kek")
    assert keys.create("hospital") != record.kek_id
    assert record.open(keys) == key


def test_a_destroyed_key_shreds(keys: FileKeyEncryptionKeys, tmp_path: Path) -> None:
    """What was wrapped under it opens with no other key."""
    record, _ = new_study_key("s1", "hospital", keys)
    (tmp_path / "kek" / "hospital.kek").unlink()
    keys.create("hospital")
    with pytest.raises(KeyMissing):
        record.open(keys)


def test_a_forged_record_is_refused(keys: FileKeyEncryptionKeys) -> None:
    """AES-KWP authenticates what it unwraps."""
    record, _ = new_study_key("s1", "hospital", keys)
    with pytest.raises(KeyRefused, match="kek-refused"):
        record.model_copy(update={"wrapped": "00" * 40}).open(keys)
    with pytest.raises(KeyMissing):
        record.model_copy(update={"kek_id": "../../etc"}).open(keys)


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"id":"a","domain":"b","kek_id":"c","wrapped":"zz"}'])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    """With the one error."""
    with pytest.raises(KeyRefused, match="study-key-record"):
        StudyKeyRecord.parse(data)
