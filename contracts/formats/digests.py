"""Whether a Part 10 file is the one that the manifest tells of, found out while it streams by."""

import hashlib

from contracts.formats.manifest import Instance


class FileDigests:
    """Hashes one file, each byte once: ``dataset_offset`` bytes for its head, the rest for its data set.

    ``start`` is where the chunks begin in the file: at 0, or at ``dataset_offset``, where the head is not looked at.
    """

    def __init__(self, instance: Instance, start: int = 0) -> None:
        if start not in (0, instance.dataset_offset):
            raise ValueError("a file is checked from its beginning or from its data set on")
        self._instance = instance
        self._ahead = instance.dataset_offset - start
        self._meta = None if start else hashlib.sha256()
        self._dataset = hashlib.sha256()

    def update(self, chunk: bytes | bytearray | memoryview) -> None:
        """Take in the next bytes, any number of them."""
        if self._ahead and self._meta:
            view = memoryview(chunk)
            self._meta.update(view[: self._ahead])
            chunk = view[self._ahead :]
            self._ahead = max(0, self._ahead - len(view))
        self._dataset.update(chunk)

    def match(self) -> bool:
        """Whether all that came has the digests of the manifest."""
        if self._meta and self._meta.hexdigest() != self._instance.meta_sha256:
            return False
        return self._dataset.hexdigest() == self._instance.dataset_sha256
