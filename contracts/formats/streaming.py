"""Tink's AES-GCM-HKDF streaming AEAD with AES-256, SHA-256 and 256 KiB segments, on ``cryptography``.

Source: https://developers.google.com/tink/streaming-aead/aes_gcm_hkdf_streaming. A ciphertext is::

    u8 40 ‖ salt (32) ‖ nonce prefix (7) ‖ segment 0 ‖ segment 1 ‖ …
    stream key = HKDF-SHA256(key, salt, info = associated data)
    segment i  = AES-256-GCM(stream key, nonce = prefix ‖ u32 i ‖ u8 last?, plaintext i) with its tag of 16 bytes

Segment 0 with the 40 bytes before it, and every later one but the last, has exactly 256 KiB of ciphertext. The index
and the last-flag in the nonce detect reordered, repeated, missing and appended segments; any byte can be sought.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from contracts.formats.errors import SealBroken

#: Bytes of ciphertext of a full segment.
SEGMENT: Literal[262144] = 262144
#: Bytes before segment 0.
PREFIX = 40
KEY_SIZE = 32

_SALT, _NONCE_PREFIX, _TAG = 32, 7, 16
#: The segment number is 32 bits, so a plaintext has fewer than 2^32 segments: 1 PiB.
_MOST_SEGMENTS = 1 << 32

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True)
class Span:
    """Where a segment lies: its bytes in the ciphertext, and those it holds of the plaintext."""

    offset: int
    size: int
    plain_offset: int
    plain_size: int


class Segments:
    """The arithmetic of a plaintext of ``size`` bytes: no keys, no bytes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.count = max(1, -(-(size + PREFIX) // (SEGMENT - _TAG)))
        if self.count >= _MOST_SEGMENTS:
            raise ValueError("a plaintext has fewer than 2^32 segments")
        self.ciphertext_size = PREFIX + size + self.count * _TAG

    def span(self, index: int) -> Span:
        """Where segment ``index`` lies; IndexError when there is none."""
        if not 0 <= index < self.count:
            raise IndexError(index)
        start = max(0, index * (SEGMENT - _TAG) - PREFIX)
        end = min(self.size, (index + 1) * (SEGMENT - _TAG) - PREFIX)
        offset = index * SEGMENT if index else PREFIX
        return Span(offset=offset, size=end - start + _TAG, plain_offset=start, plain_size=end - start)

    def holding(self, start: int, length: int) -> range:
        """The segments that hold plaintext bytes [start, start + length); none when ``length`` is 0."""
        if length <= 0:
            return range(0)
        if start < 0 or start + length > self.size:
            raise ValueError("the range lies outside the plaintext")
        first, last = ((byte + PREFIX) // (SEGMENT - _TAG) for byte in (start, start + length - 1))
        return range(first, last + 1)


class SegmentCipher:
    """One ciphertext's key and nonces; a segment at a time, in any order, from any thread."""

    def __init__(self, key: bytes, associated_data: bytes, prefix: Buffer, size: int) -> None:
        """For the ciphertext that begins with the 40 bytes ``prefix`` and holds ``size`` bytes of plaintext."""
        if len(key) != KEY_SIZE:
            raise ValueError("a key has 32 bytes")
        if len(prefix) != PREFIX or prefix[0] != PREFIX:
            raise SealBroken("sealed-prefix")
        salt = bytes(prefix[1 : 1 + _SALT])
        self._nonce_prefix = bytes(prefix[1 + _SALT :])
        self._cipher = AESGCM(HKDF(SHA256(), KEY_SIZE, salt, associated_data).derive(key))
        self.segments = Segments(size)

    def _nonce(self, index: int) -> bytes:
        return self._nonce_prefix + index.to_bytes(4, "big") + bytes([index == self.segments.count - 1])

    def encrypt(self, index: int, plaintext: Buffer) -> bytes:
        """The ciphertext of segment ``index`` with its tag."""
        return self._cipher.encrypt(self._nonce(index), plaintext, None)

    def decrypt(self, index: int, ciphertext: Buffer) -> bytes:
        """The plaintext of segment ``index``; SealBroken when it is not the segment that was sealed there."""
        try:
            return self._cipher.decrypt(self._nonce(index), ciphertext, None)
        except (InvalidTag, ValueError) as error:
            raise SealBroken("sealed-segment") from error


def new_prefix(randomness: Callable[[int], bytes] = os.urandom) -> bytes:
    """The 40 bytes that begin a new ciphertext, with fresh salt and nonce prefix."""
    return bytes([PREFIX]) + randomness(_SALT) + randomness(_NONCE_PREFIX)
