"""A destination that gets a lossless instance decompressed where it takes no other transfer syntax of it."""

import struct
from collections.abc import AsyncIterator, Sequence

from contracts.formats.manifest import Instance
from services.forwarding.adapters.decoders import CannotDecompress, Decoder
from services.forwarding.domain import syntaxes
from services.forwarding.domain.answers import Outcome, failed
from services.forwarding.ports.content import Source
from services.forwarding.ports.destination import Sender
from shared.dimse import IMPLEMENTATION

_META = struct.Struct("<HH2sH")


class DecompressingSender:
    """Offers every instance as it is; what is refused for its syntax alone, decompressed. What is lossy is not."""

    def __init__(self, sender: Sender, decoder: Decoder) -> None:
        self._sender = sender
        self._decoder = decoder

    async def prepare(self, instances: Sequence[Instance]) -> None:
        """Both syntaxes of an instance are negotiated together."""
        others = [_plain(one, one.dataset_offset) for one in instances if syntaxes.is_lossless(one.transfer_syntax)]
        await self._sender.prepare([*instances, *others])

    async def store(self, instance: Instance, source: Source) -> Outcome:
        """The answer to the instance as it is, or decompressed where that is all that the destination takes."""
        end = await self._sender.store(instance, source)
        if end.is_delivered or end.reason not in syntaxes.ABOUT_THE_SYNTAX:
            return end
        if not syntaxes.is_lossless(instance.transfer_syntax):
            return failed(syntaxes.LOSSY_REFUSED) if instance.transfer_syntax in syntaxes.LOSSY else end
        head = _head(instance)
        try:
            found = await self._sender.store(_plain(instance, len(head)), self._decompressed(head, instance, source))
        except CannotDecompress as error:
            return failed(error.reason)
        return Outcome(True, found.reason or syntaxes.DECOMPRESSED) if found.is_delivered else found

    async def probe(self) -> None:
        """Returns when the destination is there; DestinationAway."""
        await self._sender.probe()

    async def close(self) -> None:
        """Give back the connection and the process."""
        await self._sender.close()
        await self._decoder.close()

    def _decompressed(self, head: bytes, instance: Instance, source: Source) -> Source:
        length = instance.length - instance.dataset_offset

        async def read(start: int) -> AsyncIterator[bytes]:
            first, data = head[start:], source(instance.dataset_offset)
            async for piece in self._decoder.decompress(instance.transfer_syntax, length, data):
                yield first + piece
                first = b""

        return read


def _plain(instance: Instance, dataset_offset: int) -> Instance:
    """What the instance is when it is decompressed: the same SOP Instance UID, since no information is lost."""
    return instance.model_copy(update={"transfer_syntax": syntaxes.EXPLICIT, "dataset_offset": dataset_offset})


def _head(instance: Instance) -> bytes:
    """Preamble and File Meta Information of the decompressed file (PS3.10 section 7.1, PS3.5 section 7.1.2)."""
    uids = {2: instance.sop_class_uid, 3: instance.sop_instance_uid, 0x10: syntaxes.EXPLICIT, 0x12: IMPLEMENTATION}
    meta = b"".join(
        [
            _META.pack(2, 1, b"OB", 0) + b"\2\0\0\0\0\1",
            *(_META.pack(2, number, b"UI", len(uid) + len(uid) % 2) + _padded(uid) for number, uid in uids.items()),
        ]
    )
    return bytes(128) + b"DICM" + _META.pack(2, 0, b"UL", 4) + len(meta).to_bytes(4, "little") + meta


def _padded(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)
