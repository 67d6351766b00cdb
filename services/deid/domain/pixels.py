"""Pixel bytes on their way through: never decoded, never changed; what else is in frames stays behind."""

import hashlib
import struct
import zlib
from typing import Any, BinaryIO

from contracts.formats.manifest import Fragments, Frames, Instance, NativeFrames
from services.deid.domain import fragments
from services.deid.domain.codestream import Proof, cleaner_of
from services.deid.domain.content.overlay_bits import Mask
from services.deid.domain.content.samples import Samples
from services.deid.domain.dataset import LONG, PIXEL_DATA, SEQUENCE_END, UNDEFINED, Unreadable, encoding_of
from services.deid.domain.withholding import Reason, Withheld

NATIVE = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"})
#: Bytes that pass at a time: so many stay in a processor's cache between reading and writing.
CHUNK = 128 * 1024


class Output:
    """Writes a file and takes its digests as it goes."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self._meta, self._dataset = hashlib.sha256(), hashlib.sha256()
        self.length = self.crc32 = self.dataset_offset = 0

    def meta(self, data: bytes) -> None:
        self._meta.update(data)
        self._write(data)
        self.dataset_offset = self.length

    def data(self, data: bytes) -> None:
        self._dataset.update(data)
        self._write(data)

    def copy(self, source: BinaryIO, length: int, mask: Mask | None = None) -> None:
        """``length`` bytes of the data set from where ``source`` stands; Unreadable when there are fewer."""
        while length:
            # A mask needs whole samples; else whole chunks of the file, for pages that are written in part cost more.
            chunk = source.read(min(CHUNK if mask else CHUNK - self.length % CHUNK, length))
            if not chunk:
                raise Unreadable
            self.data(mask.clear(chunk) if mask else chunk)
            length -= len(chunk)

    def _write(self, data: bytes) -> None:
        self._sink.write(data)
        self.crc32 = zlib.crc32(data, self.crc32)
        self.length += len(data)

    def facts(self) -> dict[str, Any]:
        return {
            "length": self.length,
            "crc32": self.crc32,
            "dataset_offset": self.dataset_offset,
            "meta_sha256": self._meta.hexdigest(),
            "dataset_sha256": self._dataset.hexdigest(),
        }


class Untold(Output):
    """Writes a file whose digests nobody asks for.

    Where the file has a method ``take(source, length)``, that appends bytes from where ``source`` stands, moves it and
    says how many they were.
    """

    def _write(self, data: bytes) -> None:
        self._sink.write(data)
        self.length += len(data)

    def meta(self, data: bytes) -> None:
        self._write(data)
        self.dataset_offset = self.length

    def data(self, data: bytes) -> None:
        self._write(data)

    def copy(self, source: BinaryIO, length: int, mask: Mask | None = None) -> None:
        if mask is None and length >= CHUNK and (take := getattr(self._sink, "take", None)):
            taken = take(source, length)
            self.length, length = self.length + taken, length - taken
        super().copy(source, length, mask)


def survey_pixels(
    source: BinaryIO,
    original: Instance,
    samples: Samples | None,
    mask: Mask | None = None,
    proof: Proof | None = None,
) -> fragments.Fragments | None:
    """What is in the frames of an encapsulated pixel element, None for native pixels and for none.

    ``samples`` is what the header says of it, ``mask`` what to leave of each sample, ``proof`` a quick one that nothing
    is surplus in a frame. Raises Withheld when the header says nothing: nobody knows then what is a pixel.
    """
    if original.pixel_offset is None:
        return None
    if samples is None:
        raise Withheld(Reason.PIXELS_UNREADABLE)
    syntax, start = original.transfer_syntax, original.dataset_offset + original.pixel_offset
    if syntax in NATIVE:
        return None
    return fragments.survey(source, start, syntax, cleaner_of(syntax, samples, mask, proof), samples.frames)


def splice(
    source: BinaryIO,
    original: Instance,
    output: Output,
    found: fragments.Fragments | None = None,
    mask: Mask | None = None,
    samples: Samples | None = None,
) -> dict[str, Any]:
    """Pass the pixel element through; what follows it (signatures, padding, private groups) stays behind.

    ``found`` is what ``survey_pixels`` says of it, ``mask`` what to leave of each native sample, ``samples`` what the
    header says of them: what stands behind the last is no pixel.
    """
    if original.pixel_offset is None or original.pixel_length is None:
        return {}
    length = alone = original.pixel_length
    if samples is not None and found is None:
        alone = min(length, samples.native_size)
        length = alone + alone % 2
    source.seek(original.dataset_offset + original.header_length)
    output.data(pixel_head(source.read(original.pixel_offset - original.header_length), original, length))
    start = output.length - output.dataset_offset
    pixels = _moved(original.pixels, start - original.pixel_offset)
    if found is None:
        output.copy(source, alone, mask)
        output.data(b"\0" * (length - alone))
    elif found.changed:
        for piece in fragments.pieces(source, found):
            output.data(piece)
        pixels = _indexed(original.pixels, found, start)
    else:
        _copy_fragments(source, output)
    return {
        "pixel_offset": start,
        "pixel_length": output.length - output.dataset_offset - start,
        "pixels": pixels,
    }


def pixel_head(head: bytes, original: Instance, native: int | None = None) -> bytes:
    """Tag, VR and length of the pixel element written anew, of ``native`` bytes if told so and it is not in fragments.

    Unreadable when ``head`` is something else.
    """
    encoding = encoding_of(original.transfer_syntax)
    order = "<" if encoding.little else ">"
    length = original.pixel_length if original.transfer_syntax in NATIVE else UNDEFINED
    group, number = struct.unpack_from(order + "HH", head)
    vr = "OW" if encoding.implicit else head[4:6].decode("latin-1")
    size = 8 if encoding.implicit else 12
    (stored,) = struct.unpack_from(order + "I", head, size - 4)
    if group << 16 | number not in PIXEL_DATA or vr not in LONG or len(head) != size or stored != length:
        raise Unreadable
    if length != UNDEFINED and native is not None:
        length = native
    if encoding.implicit:
        return struct.pack(order + "HHI", group, number, length)
    return struct.pack(order + "HH2sHI", group, number, vr.encode(), 0, length)


def _copy_fragments(source: BinaryIO, output: Output) -> None:
    """Items up to the delimiter (PS3.5 section A.4), which ``survey_pixels`` has looked into."""
    while True:
        head = source.read(8)
        if len(head) != 8:
            raise Unreadable
        group, number, length = struct.unpack("<HHI", head)
        output.data(head)
        if group << 16 | number == SEQUENCE_END:
            return
        output.copy(source, length)


def _indexed(told: Frames | None, found: fragments.Fragments, start: int) -> Frames | None:
    """Where the fragments are now, where the manifest of the original said it."""
    if not isinstance(told, Fragments):
        return None
    return Fragments(fragments=tuple(fragments.fragment_places(found, start)))


def _moved(frames: Frames | None, by: int) -> Frames | None:
    if isinstance(frames, NativeFrames):
        return frames.model_copy(update={"offset": frames.offset + by})
    if isinstance(frames, Fragments):
        return Fragments(fragments=tuple((offset + by, length) for offset, length in frames.fragments))
    return None
