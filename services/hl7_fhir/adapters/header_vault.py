"""Values of channel.header at rest: they are credentials of other systems."""

import json
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.hl7_fhir.domain.subscriptions.channel import Header
from shared.errors import Unprocessable
from shared.identity import SiteKey

_NONCE = 12


class HeadersUnreadable(Unprocessable):
    """They were written under another site key, or are not what was written."""

    def __init__(self) -> None:
        super().__init__("subscription-headers-unreadable")


class HeaderVault:
    """AES-256-GCM (NIST SP 800-38D) under a key of the site's, bound to the id of the subscription."""

    def __init__(self, site_key: SiteKey) -> None:
        halves = (site_key.token("subscription-headers", half) for half in (1, 2))
        self._cipher = AESGCM(bytes.fromhex("".join(halves)))

    def seal(self, subscription: str, headers: Sequence[Header]) -> bytes | None:
        """The headers encrypted, None when there are none."""
        if not headers:
            return None
        nonce = os.urandom(_NONCE)
        plain = json.dumps([[header.name, header.value] for header in headers]).encode()
        return nonce + self._cipher.encrypt(nonce, plain, subscription.encode())

    def open(self, subscription: str, sealed: bytes | None) -> tuple[Header, ...]:
        """The headers; HeadersUnreadable."""
        if sealed is None:
            return ()
        try:
            plain = self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], subscription.encode())
        except InvalidTag:
            raise HeadersUnreadable from None
        return tuple(Header(name, value) for name, value in json.loads(plain))
