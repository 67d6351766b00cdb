"""The study of an instance, found in the first bytes of its data set while the rest is still on its way."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

from services.dicom_ingest.domain.elements import Encoding, is_deflated
from services.dicom_ingest.domain.negotiation import is_identifier
from services.dicom_ingest.domain.top_level import TopLevel

STUDY_INSTANCE_UID = 0x0020000D
#: A study that is not found in so many bytes is looked for when the whole instance is here.
SCAN_LIMIT = 1024 * 1024
_PIECE = 64 * 1024


@dataclass(frozen=True)
class StudyKey:
    """What shares a batch: instances of one study, or all those that have none. An unknown one shares with nobody."""

    study_uid: str | None
    known: bool = True


UNKNOWN_STUDY = StudyKey(None, known=False)


class StudyScan:
    """Feed it the data set's bytes as they come: it answers as soon as it can, and goes on to watch for the end."""

    def __init__(self, transfer_syntax: str, wanted: int = STUDY_INSTANCE_UID) -> None:
        """``wanted`` is the tag of the UID that is looked for, of the top level."""
        self._level = TopLevel(Encoding.of(transfer_syntax), wanted)
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS) if is_deflated(transfer_syntax) else None
        self._room = SCAN_LIMIT

    @property
    def is_cut(self) -> bool:
        """Whether an element of the top level is longer than what has come of it; never told of deflated ones."""
        return self._inflate is None and self._level.is_cut

    def feed(self, chunk: bytes | memoryview, *, last: bool = False) -> StudyKey | None:
        """The study, or None while more bytes are needed; always an answer when ``last``."""
        try:
            plain = self._inflated(chunk) if self._inflate else chunk
        except zlib.error:
            return UNKNOWN_STUDY
        self._level.feed(plain)
        # A deflate stream may go on for ever and give nothing: what came counts too, for it is held meanwhile.
        self._room -= max(len(plain), len(chunk))
        return self._answer(last=last)

    def _inflated(self, chunk: bytes | memoryview) -> bytes:
        """What the stream gives within bounds; what comes behind its end would be gathered, and is passed over."""
        inflate = self._inflate
        goes_on = inflate is not None and not inflate.eof and self._room > 0
        return inflate.decompress(chunk, self._room) if inflate is not None and goes_on else b""

    def _answer(self, *, last: bool) -> StudyKey | None:
        level = self._level
        if level.value is not None:
            return _key(level.value)
        if level.is_past or (last and level.is_whole):
            return StudyKey(None)
        return UNKNOWN_STUDY if last or level.is_lost or self._room <= 0 else None


def uid_in(load: Callable[[int, int], bytes], size: int, transfer_syntax: str, wanted: int) -> str | None:
    """A UID of the top level of a data set that nobody can read as a whole: only its beginning is looked at.

    ``load(offset, count)`` gives ``count`` bytes of the ``size`` bytes; ``wanted`` is the tag. None where it is not.
    """
    scan, end = StudyScan(transfer_syntax, wanted), min(size, SCAN_LIMIT)
    for at in range(0, end, _PIECE):
        count = min(_PIECE, end - at)
        found = scan.feed(load(at, count), last=at + count >= end)
        if found is not None:
            return found.study_uid
    return None


def _key(value: bytes) -> StudyKey:
    """A study UID that is none (PS3.5 section 9.1) is no study: it could be anything, a name as well."""
    text = value.strip(b"\0 ").decode("ascii", "replace")
    return StudyKey(text if is_identifier(text) else None)
