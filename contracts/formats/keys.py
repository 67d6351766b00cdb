"""The key tree: key-encryption key of a key domain → study key → object key (docs/formats.md section 6).

A study key rests only wrapped, in a record of its own beside the copies that need it. Rotation wraps it anew;
destroying the record shreds every pack of its study in that domain.
"""

import hashlib
import json
import os
import re
import secrets
import stat
from pathlib import Path
from typing import Annotated, Literal, Protocol

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding, aes_key_wrap_with_padding
from pydantic import Field, ValidationError

from contracts.events.base import Fact
from contracts.formats.errors import KeyMissing, KeyRefused

FORMAT: Literal["causeway.study-key/1"] = "causeway.study-key/1"

_DOMAIN = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_KEY_SIZE = 32


class KeyEncryptionKeys(Protocol):
    """Whoever holds the key-encryption keys (KEKs): a file, a key management service, an HSM."""

    def wrap(self, domain: str, key: bytes) -> tuple[str, bytes]:
        """The id of the domain's present KEK, and ``key`` wrapped under it; KeyMissing when there is none."""

    def unwrap(self, domain: str, kek_id: str, wrapped: bytes) -> bytes:
        """The key that was wrapped; KeyMissing when that KEK is gone, KeyRefused when it does not open it."""


class StudyKeyRecord(Fact):
    """A wrapped study key, as it lies in the key store and in each target's key bucket."""

    format: Literal["causeway.study-key/1"] = FORMAT
    id: str
    domain: str
    kek_id: str
    wrapped: Annotated[str, Field(pattern=r"^([0-9a-f]{2})+$", max_length=4096)]

    def to_bytes(self) -> bytes:
        """Canonical JSON: members sorted, no white space, ASCII."""
        return json.dumps(self.model_dump(), sort_keys=True, separators=(",", ":")).encode("ascii")

    @classmethod
    def parse(cls, data: bytes) -> "StudyKeyRecord":
        """The record of these bytes; KeyRefused when they are none."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise KeyRefused("study-key-record") from error

    def open(self, keys: KeyEncryptionKeys) -> bytes:
        """The study key, 32 bytes; errors as ``KeyEncryptionKeys.unwrap``."""
        return keys.unwrap(self.domain, self.kek_id, bytes.fromhex(self.wrapped))


def new_study_key(id: str, domain: str, keys: KeyEncryptionKeys) -> tuple[StudyKeyRecord, bytes]:  # noqa: A002
    """A fresh study key and its record; the record must be durable before anything is sealed under the key."""
    key = secrets.token_bytes(_KEY_SIZE)
    kek_id, wrapped = keys.wrap(domain, key)
    return StudyKeyRecord(id=id, domain=domain, kek_id=kek_id, wrapped=wrapped.hex()), key


def kek_id_of(key: bytes) -> str:
    """The 16 hexadecimal digits by which a key-encryption key is called; they tell nothing of it."""
    return hashlib.sha256(b"kek-id" + key).hexdigest()[:16]


class FileKeyEncryptionKeys:
    """Key-encryption keys in a directory: ``<domain>.kek``, retired ones ``<domain>.<kek id>.kek``.

    Each file has 32 random bytes and mode 0600; anything wider is refused. The directory belongs on storage that is
    not where the copies are: whoever has both reads everything.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def _path(self, domain: str, retired: str = "") -> Path:
        if not _DOMAIN.fullmatch(domain):
            raise KeyMissing("key-domain")
        return self._directory / (f"{domain}.{retired}.kek" if retired else f"{domain}.kek")

    def _load(self, path: Path) -> bytes:
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError as error:
            raise KeyMissing("kek-missing") from error
        with os.fdopen(handle, "rb") as file:
            if stat.S_IMODE(os.fstat(handle).st_mode) & 0o077:
                raise KeyRefused("kek-file-mode")
            key = file.read(_KEY_SIZE + 1)
        if len(key) != _KEY_SIZE:
            raise KeyRefused("kek-file-size")
        return key

    def _find(self, domain: str, kek_id: str) -> bytes:
        present = self._path(domain)
        if present.exists() and kek_id_of(key := self._load(present)) == kek_id:
            return key
        if not re.fullmatch(r"[0-9a-f]{16}", kek_id):
            raise KeyMissing("kek-missing")
        retired = self._load(self._path(domain, kek_id))
        if kek_id_of(retired) != kek_id:
            raise KeyRefused("kek-file-wrong")
        return retired

    def wrap(self, domain: str, key: bytes) -> tuple[str, bytes]:
        """AES-KWP (RFC 5649) under ``<domain>.kek``."""
        present = self._load(self._path(domain))
        return kek_id_of(present), aes_key_wrap_with_padding(present, key)

    def unwrap(self, domain: str, kek_id: str, wrapped: bytes) -> bytes:
        """The reverse of ``wrap``, with the present or a retired key."""
        try:
            return aes_key_unwrap_with_padding(self._find(domain, kek_id), wrapped)
        except (InvalidUnwrap, ValueError) as error:
            raise KeyRefused("kek-refused") from error

    def create(self, domain: str) -> str:
        """Make the domain's key unless there is one, durable on return, and tell its id: for `encryption` only."""
        path = self._path(domain)
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            self._write(path, secrets.token_bytes(_KEY_SIZE))
        return kek_id_of(self._load(path))

    def _write(self, path: Path, key: bytes) -> None:
        """Create-only: a whole file appears under its name, or none; the first of two writers wins."""
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(key)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, path)
            except FileExistsError:
                return
        finally:
            draft.unlink(missing_ok=True)
            self._sync_directory()

    def _sync_directory(self) -> None:
        handle = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
