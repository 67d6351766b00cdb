"""Raw messages at rest: AES-256-GCM under a key of this site's own (NIST SP 800-38D).

Each content has a random nonce of 96 bits in front and is bound to its message's ref, so that no row can be put in the
place of another. The key is that of the purpose ``hl7-content`` below the site key: who has the database without the
site key reads no message.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.errors import Unprocessable
from shared.identity import SiteKey

_NONCE, _TAG = 12, 16


class Sealer:
    """Seals and opens contents."""

    def __init__(self, site_key: SiteKey) -> None:
        self._cipher = AESGCM(site_key.key("hl7-content"))

    def seal(self, ref: str, content: bytes) -> bytearray:
        """``content`` as it is kept: nonce, ciphertext and tag, 28 bytes longer; copied once, for it may be long."""
        nonce = os.urandom(_NONCE)
        sealed = bytearray(_NONCE + len(content) + _TAG)
        sealed[:_NONCE] = nonce
        self._cipher.encrypt_into(nonce, content, ref.encode(), memoryview(sealed)[_NONCE:])
        return sealed

    def open(self, ref: str, sealed: bytes) -> bytes:
        """The content that was sealed for ``ref``; Unprocessable when it was not, or is damaged."""
        try:
            # A view, since a message may be long.
            return self._cipher.decrypt(sealed[:_NONCE], memoryview(sealed)[_NONCE:], ref.encode())
        except (InvalidTag, ValueError):
            raise Unprocessable("content-unreadable") from None
