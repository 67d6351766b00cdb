"""The identity of an instance: 16 bytes for (SOP instance UID, data set, transfer syntax)."""

import hashlib


def identity(sop_instance_uid: str, dataset_sha256: str, transfer_syntax: str) -> bytes:
    """The first 16 bytes of SHA-256 over the three, separated by a byte that none of them holds."""
    parts = "\x1f".join((sop_instance_uid, dataset_sha256, transfer_syntax))
    return hashlib.sha256(parts.encode("utf-8", "surrogateescape")).digest()[:16]
