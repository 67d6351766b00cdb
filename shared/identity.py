"""Deterministic opaque ids: HMACs under the site key, one key per purpose.

The site key is 32 random bytes in a file of mode 0600. Each purpose has a key of its own (HKDF-SHA256, RFC 5869), so
that an id of one kind can never be mistaken for, or computed from, an id of another.
"""

import hashlib
import hmac
import os
import tempfile
from contextlib import suppress
from pathlib import Path

_SEPARATOR = b"\x1f"
VERSION = "1"


def _hkdf(secret: bytes, info: bytes) -> bytes:
    """The first 32 bytes of HKDF-SHA256 without salt (RFC 5869 section 2)."""
    pseudorandom = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    return hmac.new(pseudorandom, info + b"\x01", hashlib.sha256).digest()


def _link_durably(content: bytes, path: Path) -> None:
    """Write ``content`` (mode 0600, fsync) and give it the name ``path`` unless that is taken."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        Path(temporary).unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class SiteKey:
    """The one provider of keyed ids of a site."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != 32:
            raise ValueError("a site key has 32 bytes")
        self._secret = secret
        self._keys: dict[str, bytes] = {}

    @classmethod
    def load(cls, path: Path) -> "SiteKey":
        """Read the key from ``path``; OSError when it is not there, ValueError when it is no key."""
        return cls(path.read_bytes())

    @classmethod
    def create(cls, path: Path) -> "SiteKey":
        """Make a new key at ``path`` with mode 0600, unless one is there, and load it.

        Of several that race one wins, and a crash leaves either no key or a whole one: it is written under another
        name, made durable, and only then linked to its own.
        """
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _link_durably(os.urandom(32), path)
        return cls.load(path)

    def token(self, purpose: str, *parts: str | int) -> str:
        """32 lower-case hexadecimal digits (128 bits) that stand for ``parts`` under ``purpose``."""
        message = _SEPARATOR.join(str(part).encode() for part in parts)
        return hmac.digest(self.key(purpose), message, "sha256").hex()[:32]

    def key(self, purpose: str) -> bytes:
        """The 32 bytes of the key for ``purpose``."""
        found = self._keys.get(purpose)
        if found is None:
            found = self._keys[purpose] = _hkdf(self._secret, f"causeway/{VERSION}/{purpose}".encode())
        return found

    def event_id(self, subject: str, *parts: str | int) -> str:
        """The ``ce-id`` of a fact: its subject, the input's id, the step, the generation and the run."""
        return self.token("event", subject, *parts)

    def study_ref(self, study_uid: str) -> str:
        """What logs and spans may say of a study."""
        return self.token("study", study_uid)

    def patient_token(self, issuer: str, patient_id: str) -> str:
        """The match token of a patient; ids are compared without surrounding spaces."""
        return self.token("patient", issuer.strip(), patient_id.strip())

    def accession_token(self, issuer: str, accession: str) -> str:
        """The match token of an order's accession number."""
        return self.token("accession", issuer.strip(), accession.strip())

    def storage_key(self, form: str, *parts: str | int) -> str:
        """``<form>/<token>``: the same for a repeat, meaningless to others."""
        return f"{form}/{self.token('storage', form, *parts)}"
