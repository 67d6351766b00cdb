"""The identity map at rest: AES-256-GCM (NIST SP 800-38D) under a data key of each project, which rests only wrapped.

The data key is wrapped under the key-encryption key of the domain ``identity`` where the site has one (``identity.kek``
beside the others), else under a key of the project's own secret. Wrapped under the one of before, it is wrapped anew
when it is next opened: so a rotation touches no row of the map. Who has the database without the keys reads nobody's
name; destroying the data key makes the whole map of its project unreadable.
"""

import os
import secrets
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding, aes_key_wrap_with_padding
from sqlalchemy import Connection, select, update

from contracts.formats.errors import KeyMissing, KeyProblem
from contracts.formats.keys import KeyEncryptionKeys, kek_id_of
from services.deid.adapters.sql import insert_new
from services.deid.adapters.tables import map_key
from shared.errors import RetryLater, Unprocessable
from shared.identity import SiteKey

DOMAIN = "identity"
_NONCE = 12


class Cipher:
    """Seals and opens what belongs to one project."""

    def __init__(self, key: bytes, kek_id: str, wrapped: bytes) -> None:
        self._cipher = AESGCM(key)
        self.kek_id, self.wrapped = kek_id, wrapped

    def seal(self, about: str, content: bytes) -> bytes:
        """``content`` as it is kept, bound to what it is ``about``: 28 bytes longer."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, content, about.encode())

    def open(self, about: str, sealed: bytes) -> bytes:
        """The content that was sealed ``about`` this; Unprocessable when it was not, or is damaged."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], about.encode())
        except (InvalidTag, ValueError):
            raise Unprocessable("identity-unreadable") from None


class MapKeys:
    """The data keys, made with the first entry of a project. ``secret`` gives the secret of a project by its name."""

    def __init__(self, keks: KeyEncryptionKeys, secret: Callable[[str], SiteKey]) -> None:
        self._keks = keks
        self._secret = secret

    def of(self, connection: Connection, project: str) -> Cipher:
        """The cipher of a project; RetryLater while its key-encryption key is not to be had."""
        mine = select(map_key).where(map_key.c.project == project)
        row = connection.execute(mine).first()
        if row is None:
            kek_id, wrapped = self._wrap(project, secrets.token_bytes(32))
            insert_new(connection, map_key, [{"project": project, "kek_id": kek_id, "wrapped": wrapped}])
            row = connection.execute(mine).one()
        key = self._unwrap(project, row.kek_id, row.wrapped)
        kek_id, wrapped = self._wrap(project, key)
        if kek_id != row.kek_id:
            renewed = update(map_key).where(map_key.c.project == project)
            connection.execute(renewed.values(kek_id=kek_id, wrapped=wrapped))
        return Cipher(key, kek_id, wrapped)

    def recover(self, project: str, kek_id: str, wrapped: bytes) -> Cipher:
        """The cipher of a data key that was wrapped for a project."""
        return Cipher(self._unwrap(project, kek_id, wrapped), kek_id, wrapped)

    def keep(self, connection: Connection, project: str, cipher: Cipher) -> None:
        """Make a recovered data key that of a project which has none."""
        row = {"project": project, "kek_id": cipher.kek_id, "wrapped": cipher.wrapped}
        insert_new(connection, map_key, [row])

    def _wrap(self, project: str, key: bytes) -> tuple[str, bytes]:
        try:
            return self._keks.wrap(DOMAIN, key)
        except KeyMissing:
            own = self._secret(project).key("identity-map")
            return kek_id_of(own), aes_key_wrap_with_padding(own, key)
        except KeyProblem as problem:
            raise RetryLater(problem.reason) from None

    def _unwrap(self, project: str, kek_id: str, wrapped: bytes) -> bytes:
        own = self._secret(project).key("identity-map")
        try:
            if kek_id == kek_id_of(own):
                return aes_key_unwrap_with_padding(own, wrapped)
            return self._keks.unwrap(DOMAIN, kek_id, wrapped)
        except InvalidUnwrap:
            raise RetryLater("map-key-refused") from None
        except KeyProblem as problem:
            raise RetryLater(problem.reason) from None
