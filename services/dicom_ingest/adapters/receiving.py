"""The file in which pynetdicom gathers a data set. What the disk says is for the answer: pynetdicom must not hear it.

Its reactor calls us between the pieces of a message and ends without a word when that raises.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from services.dicom_ingest.adapters.batch_file import Bytes
from services.dicom_ingest.adapters.spool import refusal
from services.dicom_ingest.adapters.spooled import RECEIVING
from services.dicom_ingest.ports import Room, SpoolRefused

_CHUNK = 256 * 1024
#: The preamble, the prefix and the group length element of a Part 10 file (PS3.10 section 7.1), bytes.
_META = 128 + 4 + 12
#: All that stands before the data set has no more bytes.
_BEFORE = 4096
#: As in the other receiver, the disk is looked at again each so many bytes.
_LOOK_AGAIN = 16 * 1024 * 1024


class ReceivingFile:
    """What pynetdicom uses of a ``NamedTemporaryFile``; after a refusal the rest is dropped.

    It has no name on the disk, so that nothing is left of it however the process ends.
    """

    def __init__(self, folder: Path, room: Room, largest: Callable[[str], int]) -> None:
        """``largest`` is the largest data set that is taken of a SOP class, bytes."""
        self.name = str(folder / RECEIVING)
        self.file = self
        self._room = room
        self._largest = largest
        self._most: int | None = None
        self._refused: SpoolRefused | None = None
        self._size = 0
        self._raw: IO[bytes] | None = None
        try:
            room.check()
            self._raw = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - lives until ``close``
        except (SpoolRefused, OSError) as error:
            self._refuse(error)

    def holds(self, sop_class: str) -> None:
        """Nothing is kept that is longer than an instance of this class may be."""
        self._most = self._most or _BEFORE + self._largest(sop_class)

    def write(self, data: Bytes) -> int:
        """Take all of ``data``, or nothing any more."""
        if self._raw is not None:
            before, self._size = self._size, self._size + len(data)
            try:
                if self._most is not None and self._size > self._most:
                    raise SpoolRefused("instance-too-large")
                if self._size // _LOOK_AGAIN > before // _LOOK_AGAIN:
                    self._room.check()
                rest = memoryview(data)
                while rest:
                    rest = rest[self._raw.write(rest) or 0 :]
            except (SpoolRefused, OSError) as error:
                self._refuse(error)
        return len(data)

    def _refuse(self, error: SpoolRefused | OSError) -> None:
        self._refused = SpoolRefused(refusal(error)) if isinstance(error, OSError) else error
        self.close()

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Leave nothing of it."""
        if self._raw is not None:
            self._raw.close()
            self._raw = None

    def data_set(self) -> Iterator[memoryview]:
        """The bytes behind the file meta information; SpoolRefused when they are not all there."""
        if self._raw is None:
            raise self._refused or SpoolRefused("spool-closed")
        self._raw.seek(0)
        self._raw.seek(_META + int.from_bytes(self._raw.read(_META)[-4:], "little"))
        while chunk := self._raw.read(_CHUNK):
            yield memoryview(chunk)
