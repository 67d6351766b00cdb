"""``multipart/related`` bodies as they come (RFC 2046 section 5.1), on python-multipart's parser of the bare syntax.

Its parts are found by boundary alone: nothing of ``form-data`` is needed. The bytes of a part are passed on where they
lie; of a part never more than the beginning of what could be a boundary is held. What comes before the first boundary
(the preamble, section 5.1.1) is to the parser a part of its own without headers, and is dropped. Headers that go on in
another line (RFC 822 section 3.1.1) are refused: the parser knows none.
"""

from functools import partial
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from services.dicom_ingest.domain.stow import RequestRefused
from services.dicom_ingest.ports.parts import PartSink

#: PS3.18 section 8.6.1.2 knows four; senders add a Content-ID, a MIME-Version, a Content-Disposition.
_MOST_HEADERS = 16
_LINE_END = b"\r\n"
#: Bytes of a preamble, which is a note of the sender's to whoever knows no MIME.
_LONGEST_PREAMBLE = 64 * 1024


class MultipartReader:
    """One body; feed it on one thread at a time."""

    def __init__(self, boundary: str, sink: PartSink, max_header: int) -> None:
        """``max_header`` bounds each header line of a part, bytes."""
        self._sink = sink
        self._name, self._value = bytearray(), bytearray()
        self._headers: dict[str, str] = {}
        self._preamble: int | None = -len(_LINE_END)  # how long it is by now, without ours; None after it
        self._ended = False
        callbacks: Any = {
            "on_header_field": partial(_gather, self._name),
            "on_header_value": partial(_gather, self._value),
            "on_header_end": self._header,
            "on_headers_finished": self._begin,
            "on_part_data": self._write,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }
        self._parser = MultipartParser(boundary, callbacks, max_header_count=_MOST_HEADERS, max_header_size=max_header)
        # The preamble as a part, and a line's end: a body without a preamble has its first boundary at its beginning.
        self._parser.write(b"--" + boundary.encode("latin-1") + 2 * _LINE_END + _LINE_END)

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body; RequestRefused (400) when they are no parts."""
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise RequestRefused("broken-multipart", 400) from None

    def finish(self) -> None:
        """The body is over; RequestRefused (400) when its last boundary is missing."""
        if not self._ended:
            raise RequestRefused("multipart-cut-short", 400)

    def _header(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = self._value.decode("latin-1")
        self._name.clear()
        self._value.clear()

    def _begin(self) -> None:
        if self._preamble is None:
            headers, self._headers = self._headers, {}
            self._sink.begin(headers)

    def _write(self, data: bytes, start: int, end: int) -> None:
        if self._preamble is None:
            self._sink.write(memoryview(data)[start:end])
            return
        self._preamble += end - start
        if self._preamble > _LONGEST_PREAMBLE:
            raise RequestRefused("broken-multipart", 400)

    def _end_part(self) -> None:
        if self._preamble is None:
            self._sink.end()
        self._preamble = None

    def _end(self) -> None:
        self._ended = True


def _gather(into: bytearray, data: bytes, start: int, end: int) -> None:
    into += data[start:end]
