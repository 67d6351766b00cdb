"""The study of an instance, found in the first bytes of its data set while the rest is still on its way."""

import zlib
from dataclasses import dataclass

from services.dicom_ingest.domain.elements import Bounds, Encoding, Walk, is_deflated
from services.dicom_ingest.domain.negotiation import is_identifier
from services.dicom_ingest.domain.window import CutShort, Malformed, Window

STUDY_INSTANCE_UID = 0x0020000D
#: A study that is not found in so many bytes is looked for when the whole instance is here.
SCAN_LIMIT = 1024 * 1024
_FIRST_TRY = 4 * 1024


@dataclass(frozen=True)
class StudyKey:
    """What shares a batch: instances of one study, or all those that have none. An unknown one shares with nobody."""

    study_uid: str | None
    known: bool = True


UNKNOWN_STUDY = StudyKey(None, known=False)


class StudyScan:
    """Feed it the data set's bytes as they come until it answers."""

    def __init__(self, transfer_syntax: str) -> None:
        self._encoding = Encoding.of(transfer_syntax)
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS) if is_deflated(transfer_syntax) else None
        self._plain = bytearray()
        self._next_try = _FIRST_TRY

    def feed(self, chunk: bytes | memoryview, *, last: bool = False) -> StudyKey | None:
        """The study, or None while more bytes are needed; always an answer when ``last``."""
        try:
            if last or self._plain or self._inflate or len(chunk) < _FIRST_TRY:
                self._plain += self._inflated(chunk) if self._inflate else chunk
            elif (found := self._at_once(chunk)) is not None:
                return found
            if len(self._plain) < self._next_try and not last:
                return None
            self._next_try = 4 * len(self._plain)
            return self._find(self._plain, whole=last)
        except CutShort:
            return UNKNOWN_STUDY if last or len(self._plain) >= SCAN_LIMIT else None
        except Malformed:
            return UNKNOWN_STUDY

    def _at_once(self, chunk: bytes | memoryview) -> StudyKey | None:
        """The usual case: the first bytes tell it, and need not be copied."""
        try:
            return self._find(chunk, whole=False)
        except CutShort:
            self._plain += chunk
            return None

    def _inflated(self, chunk: bytes | memoryview) -> bytes:
        room = SCAN_LIMIT - len(self._plain)
        try:
            return self._inflate.decompress(chunk, room) if self._inflate and room > 0 else b""
        except zlib.error:
            raise Malformed("bad-deflate") from None

    def _find(self, plain: bytes | bytearray | memoryview, *, whole: bool) -> StudyKey:
        window = Window.over(plain)
        walk = Walk(window, self._encoding, Bounds())
        for element in walk.header():
            if element.tag == STUDY_INSTANCE_UID:
                return _key(window.read(element.offset, element.length))
        if whole or walk.pixel_data:
            return StudyKey(None)
        raise CutShort


def _key(value: bytes) -> StudyKey:
    """A study UID that is none (PS3.5 section 9.1) is no study: it could be anything, a name as well."""
    text = value.strip(b"\0 ").decode("ascii", "replace")
    return StudyKey(text if is_identifier(text) else None)
