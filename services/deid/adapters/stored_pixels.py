"""The pixels of a Part 10 file, read as the second look reads: it shares nothing with the parser of the cleaner."""

import struct
from io import BytesIO
from typing import BinaryIO

from services.deid.domain.dataset import Element, Encoding
from services.deid.domain.looking.reader import SYNTAX, Head, read_head, value_of
from services.deid.domain.pictures.frames import Frames, frames_of
from services.deid.domain.pictures.picture import PIXELS, Picture
from services.deid.domain.pictures.risk import Header
from services.deid.domain.workspace import Span


class StoredPixels:
    """Header and pixels of ``file``; Broken for what is no Part 10 file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._head = read_head(file)

    @property
    def are_there(self) -> bool:
        """Whether Pixel Data is what comes behind the header."""
        head = self._head
        tag = struct.pack("<HH" if head.form.little else ">HH", PIXELS >> 16, PIXELS & 0xFFFF)
        return head.data[head.rest : head.rest + 4] == tag

    @property
    def header(self) -> Header:
        """The top level of the header, and its transfer syntax."""
        head = self._head
        leaves = (leaf for leaf in head.leaves if "/" not in leaf.path and leaf.tag >> 16 != 2)
        elements = tuple(Element(leaf.tag, leaf.vr, head.data[leaf.start : leaf.stop]) for leaf in leaves)
        encoding = Encoding(implicit=not head.form.explicit, little=head.form.little)
        return Header(elements, value_of(head, SYNTAX).decode("latin-1"), encoding)

    def frames(self, picture: Picture) -> tuple[Picture, Frames]:
        """The picture as its bytes lie, and its frames; Unreadable or Withheld when there are others."""
        head: Head = self._head
        start = head.rest + (12 if head.form.explicit else 8)
        words = not head.form.explicit or head.data[head.rest + 4 : head.rest + 6] == b"OW"
        source = BytesIO(head.data) if head.inflated else self._file
        picture = picture.in_words(words)
        return picture, frames_of(source, Span(start, source.seek(0, 2) - start), picture)
