"""A destination that gets an instance in another transfer syntax, without loss, where it does not take its own."""

import struct
from collections.abc import AsyncIterator, Sequence

from contracts.formats.manifest import Instance
from services.forwarding.adapters.decoders import CannotConvert, Decoder
from services.forwarding.domain import syntaxes
from services.forwarding.domain.answers import Outcome, failed
from services.forwarding.domain.destinations import Destination
from services.forwarding.ports.content import Source
from services.forwarding.ports.destination import Sender
from shared.dimse import IMPLEMENTATION

_META = struct.Struct("<HH2sH")


class ConvertingSender:
    """Offers every instance as it is; what is refused for its syntax alone, in the others. What is lossy is not."""

    def __init__(self, sender: Sender, decoder: Decoder, destination: Destination) -> None:
        self._sender = sender
        self._decoder = decoder
        self._may_decompress = destination.decompress
        self._over_http = destination.kind == "stow"

    async def prepare(self, instances: Sequence[Instance], others: Sequence[Instance] = ()) -> None:
        """All syntaxes of an instance are negotiated together."""
        written = [_as(other, one, one.dataset_offset) for one in instances for other in self._others(one)]
        await self._sender.prepare(instances, [*written, *others])

    async def store(self, instance: Instance, source: Source) -> Outcome:
        """The answer to the instance as it is, or in the first syntax that the destination takes."""
        end, others = await self._sender.store(instance, source), self._others(instance)
        for other in others:
            if end.is_delivered or end.reason not in syntaxes.ABOUT_THE_SYNTAX:
                return end
            end = await self._store_as(other, instance, source)
        is_lossy = self._may_decompress and instance.transfer_syntax in syntaxes.LOSSY
        return failed(syntaxes.LOSSY_REFUSED) if is_lossy and end.reason in syntaxes.ABOUT_THE_SYNTAX else end

    def _others(self, instance: Instance) -> Sequence[str]:
        return syntaxes.others(instance.transfer_syntax, may_decompress=self._may_decompress, over_http=self._over_http)

    async def _store_as(self, syntax: str, instance: Instance, source: Source) -> Outcome:
        head = _head(instance, syntax)
        written = _as(syntax, instance, len(head))
        try:
            end = await self._sender.store(written, self._converted(head, syntax, instance, source))
        except CannotConvert as error:
            return failed(error.reason)
        is_native = instance.transfer_syntax in syntaxes.NATIVE
        told = syntaxes.RE_ENCODED if is_native else syntaxes.DECOMPRESSED
        return Outcome(True, end.reason or told) if end.is_delivered else end

    async def probe(self) -> None:
        """Returns when the destination is there; DestinationAway."""
        await self._sender.probe()

    async def close(self) -> None:
        """Give back the connection and the process."""
        await self._sender.close()
        await self._decoder.close()

    def _converted(self, head: bytes, syntax: str, instance: Instance, source: Source) -> Source:
        length = instance.length - instance.dataset_offset

        async def read(start: int) -> AsyncIterator[bytes]:
            first, data = head[start:], source(instance.dataset_offset)
            async for piece in self._decoder.convert(instance.transfer_syntax, syntax, length, data):
                yield first + piece
                first = b""

        return read


def _as(syntax: str, instance: Instance, dataset_offset: int) -> Instance:
    """What the instance is in another syntax: the same SOP Instance UID, since no information is lost."""
    return instance.model_copy(update={"transfer_syntax": syntax, "dataset_offset": dataset_offset})


def _head(instance: Instance, syntax: str) -> bytes:
    """Preamble and File Meta Information of the file in another syntax (PS3.10 section 7.1, PS3.5 section 7.1.2)."""
    uids = {2: instance.sop_class_uid, 3: instance.sop_instance_uid, 0x10: syntax, 0x12: IMPLEMENTATION}
    meta = b"".join(
        [
            _META.pack(2, 1, b"OB", 0) + b"\2\0\0\0\0\1",
            *(_META.pack(2, number, b"UI", len(uid) + len(uid) % 2) + _padded(uid) for number, uid in uids.items()),
        ]
    )
    return bytes(128) + b"DICM" + _META.pack(2, 0, b"UL", 4) + len(meta).to_bytes(4, "little") + meta


def _padded(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)
