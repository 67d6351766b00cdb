"""One DICOM association with the worklist (PS3.8, PS3.7 chapter 9).

Whatever a peer sends or leaves out costs a bounded time and bounded memory: PDUs, command sets and identifiers have
caps, and everything that is waited for has a deadline.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass

from services.hl7_fhir.domain.worklist import dimse
from services.hl7_fhir.domain.worklist.dimse import BadPdu, Command, Context, Greeting
from services.hl7_fhir.ports.worklist import Answers

#: Find(identifier, calling AE title, explicit=…, combined=…) gives the answers, a status alone at the end.
Find = Callable[..., AsyncIterator[Answers]]


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes, times in seconds. ``idle`` is how long an association may say nothing between requests."""

    associations: int = 64
    greeting: int = 64 * 1024
    pdu: int = 64 * 1024
    command: int = 16 * 1024
    identifier: int = 128 * 1024
    first: float = 10.0
    idle: float = 60.0
    message: float = 30.0
    answer: float = 30.0


@dataclass(frozen=True)
class Titles:
    """Our AE title, and those of who may call; nobody in particular when empty."""

    own: str
    callers: Collection[str] = ()


class Ended(Exception):
    """The peer released, aborted or vanished."""


@dataclass(frozen=True)
class _Message:
    context: Context
    command: Command
    identifier: bytes


class Association:
    """One association from its greeting to its end."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, titles: Titles, find: Find, limits: Limits
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._titles = titles
        self._find = find
        self._limits = limits
        self._contexts: dict[int, Context] = {}
        self._longest = limits.pdu
        self._coming: asyncio.Task[_Message] | None = None
        self._greeting: Greeting | None = None

    async def serve(self) -> str:
        """Until it ends: released, rejected, aborted, lost or broken."""
        try:
            if not await self._greet():
                return "rejected"
            while True:
                await self._answer(await self._next())
        except Ended as ending:
            return str(ending)
        except (BadPdu, TimeoutError):
            with contextlib.suppress(OSError, TimeoutError):
                await self._send(dimse.abort(0))
            return "broken"
        except OSError:
            return "lost"
        finally:
            if self._coming is not None:
                self._coming.cancel()
                with contextlib.suppress(asyncio.CancelledError, Ended, BadPdu, OSError, TimeoutError):
                    await self._coming

    async def _greet(self) -> bool:
        async with asyncio.timeout(self._limits.first):
            kind, body = await self._pdu(self._limits.greeting)
        if kind != dimse.ASSOCIATE_RQ:
            raise BadPdu("no-greeting")
        greeting = dimse.read_greeting(body)
        refusal = self._refusal(greeting)
        if refusal is not None:
            await self._send(refusal)
            return False
        self._greeting = greeting
        self._longest = min(greeting.longest or self._limits.pdu, self._limits.pdu)
        self._contexts = {each.id: each for each in greeting.contexts if each.result == dimse.ACCEPTED}
        await self._send(dimse.welcome(greeting, self._limits.pdu))
        return True

    def _refusal(self, greeting: Greeting) -> bytes | None:
        if greeting.application_context != "1.2.840.10008.3.1.1.1":
            return dimse.rejection(1, 1, 2)
        if greeting.called != self._titles.own:
            return dimse.rejection(1, 1, 7)
        if self._titles.callers and greeting.calling not in self._titles.callers:
            return dimse.rejection(1, 1, 3)
        return None

    async def _next(self) -> _Message:
        """The next request; it may have been on its way while another one was answered."""
        coming, self._coming = self._coming, None
        if coming is None:
            return await self._message(self._limits.idle)
        async with asyncio.timeout(self._limits.idle):
            return await coming

    async def _message(self, idle: float | None) -> _Message:
        """Command set and data set, put together of their fragments; ``idle`` is how long nothing may come."""
        async with asyncio.timeout(idle):
            kind, body = await self._pdu(self._limits.pdu)
        async with asyncio.timeout(self._limits.message):
            command, identifier = bytearray(), bytearray()
            context, asked = -1, None
            while True:
                await self._settle(kind)
                for number, control, piece in dimse.values(body):
                    context = number if context < 0 else context
                    if number != context or (asked is None) != bool(control & dimse.COMMAND_BIT):
                        raise BadPdu("fragments-mixed")
                    part, most = (
                        (command, self._limits.command) if asked is None else (identifier, self._limits.identifier)
                    )
                    part += piece
                    if len(part) > most:
                        raise BadPdu("message-too-long")
                    if control & dimse.LAST_BIT:
                        if asked is None:
                            asked = dimse.read_command(bytes(command))
                        if not asked.has_data_set or not control & dimse.COMMAND_BIT:
                            return self._whole(context, asked, bytes(identifier))
                kind, body = await self._pdu(self._limits.pdu)

    def _whole(self, context: int, asked: Command, identifier: bytes) -> _Message:
        if context not in self._contexts:
            raise BadPdu("no-such-context")
        return _Message(self._contexts[context], asked, identifier)

    async def _settle(self, kind: int) -> None:
        """Go on with data; answer a release; Ended, BadPdu."""
        if kind == dimse.RELEASE_RQ:
            await self._send(dimse.pdu(dimse.RELEASE_RP, bytes(4)))
            raise Ended("released")
        if kind == dimse.ABORT:
            raise Ended("aborted")
        if kind != dimse.DATA:
            raise BadPdu("unexpected-pdu")

    async def _answer(self, message: _Message) -> None:
        command, context = message.command, message.context
        if command.field == dimse.C_CANCEL or command.field & dimse.RESPONSE:
            return  # of something that is over
        if command.field == dimse.C_ECHO and context.abstract_syntax == dimse.VERIFICATION:
            await self._respond(context, dimse.response(command, dimse.SUCCESS))
        elif command.field == dimse.C_FIND and context.abstract_syntax == dimse.WORKLIST:
            await self._answer_find(message)
        else:
            await self._respond(context, dimse.response(command, dimse.UNRECOGNIZED))

    async def _answer_find(self, message: _Message) -> None:
        greeting = self._greeting
        if greeting is None:
            raise BadPdu("no-greeting")
        explicit = message.context.transfer_syntax == dimse.EXPLICIT
        asked = self._find(message.identifier, greeting.calling, explicit=explicit, combined=bool(greeting.combined))
        self._coming = asyncio.create_task(self._message(None))
        async with contextlib.aclosing(asked) as answers:  # type: ignore[type-var]  # every asynchronous generator has aclose
            async for found in answers:
                # Let what has come be read before the next page is looked for.
                await asyncio.sleep(0)
                if await self._is_over(message):
                    await self._respond(message.context, dimse.response(message.command, dimse.CANCELLED))
                    return
                await self._tell(message, found)

    async def _is_over(self, message: _Message) -> bool:
        """Whether the peer cancelled; what else it sent waits, an end of the association is raised."""
        if self._coming is None or not self._coming.done():
            return False
        coming = await self._coming
        if coming.command.field != dimse.C_CANCEL:
            return False
        self._coming = None
        is_mine = coming.command.responded_to == message.command.message_id
        if not is_mine:
            self._coming = asyncio.create_task(self._message(None))
        return is_mine

    async def _tell(self, message: _Message, found: Answers) -> None:
        if not found.identifiers:
            told = dimse.response(message.command, found.status, comment=found.comment)
            await self._respond(message.context, told)
            return
        head = dimse.data_pdus(
            message.context.id,
            dimse.response(message.command, found.status, has_data_set=True),
            is_command=True,
            longest=self._longest,
        )
        await self._send(b"".join(head + self._data(message.context, each) for each in found.identifiers))

    def _data(self, context: Context, identifier: bytes) -> bytes:
        return dimse.data_pdus(context.id, identifier, is_command=False, longest=self._longest)

    async def _respond(self, context: Context, response: bytes) -> None:
        await self._send(dimse.data_pdus(context.id, response, is_command=True, longest=self._longest))

    async def _pdu(self, most: int) -> tuple[int, bytes]:
        try:
            kind, length = dimse.header(await self._reader.readexactly(6))
            if length > most:
                raise BadPdu("pdu-too-long")
            return kind, await self._reader.readexactly(length)
        except asyncio.IncompleteReadError:
            raise Ended("lost") from None

    async def _send(self, encoded: bytes) -> None:
        async with asyncio.timeout(self._limits.answer):
            self._writer.write(encoded)
            await self._writer.drain()
