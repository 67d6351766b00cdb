"""Messages held against the structure and data types of their version by hl7apy, for senders that are strict.

hl7apy takes 10 ms for an order and seconds for a hostile field, so it works in a process of its own, one message at a
time, within a size and a time. Segments of a site's own (Z…) are left out: no version has them.
"""

import asyncio
import re
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from services.hl7_fhir.domain.messages.message import read
from services.hl7_fhir.domain.messages.refusal import Place, ProfileViolated, TooMuch
from shared.errors import RetryLater

#: Bytes of a message that is looked at, and seconds for one.
_LARGEST, _PATIENCE = 64 * 1024, 10.0
_FIELD = re.compile(r"\b([A-Z][A-Z0-9]{2})_([0-9]{1,3})\b")
_SEGMENT = re.compile(r"\b([A-Z][A-Z0-9]{2})\b")

#: What is wrong: segment and field as far as they are known.
Found = tuple[str, int | None]


class Hl7apyProfiles:
    """Validates messages; nothing is started before the first."""

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._pool: ProcessPoolExecutor | None = None
        self._turn = asyncio.Lock()

    async def validate(self, content: bytes, charset: str) -> None:
        """Return when nothing is wrong; ProfileViolated, TooMuch, RetryLater."""
        if len(content) > _LARGEST:
            raise TooMuch("message-too-large-for-profile")
        message = read(content, charset)
        lines = [line for line in re.split(r"[\r\n]+", message.content) if line.strip() and not line.startswith("Z")]
        async with self._turn:
            found = await self._ask("\r".join(lines) + "\r")
        if found is not None:
            raise ProfileViolated("profile-violated", Place(found[0], 1, found[1]))

    async def close(self) -> None:
        """End the process."""
        self._end()

    async def _ask(self, text: str) -> Found | None:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        asked = asyncio.get_running_loop().run_in_executor(self._pool, look, text)
        try:
            async with asyncio.timeout(self._patience):
                return await asked
        except TimeoutError:
            self._end()
            raise TooMuch("profile-takes-too-long") from None
        except BrokenProcessPool:
            self._end()
            raise RetryLater("profile-not-available") from None

    def _end(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            for process in tuple((pool._processes or {}).values()):  # there is no other way to end one that is busy
                process.kill()
            pool.shutdown(wait=False, cancel_futures=True)


def look(text: str) -> Found | None:
    """The first thing that is wrong with a message, None when nothing is: runs in the process of its own."""
    from hl7apy.consts import VALIDATION_LEVEL
    from hl7apy.exceptions import HL7apyException
    from hl7apy.parser import parse_message

    try:
        parse_message(text, validation_level=VALIDATION_LEVEL.STRICT).validate()
    except HL7apyException as error:
        return _place(str(error))
    except Exception:  # hl7apy's own faults on odd input
        return "MSH", None
    return None


def _place(told: str) -> Found:
    """Where the fault is; of the text nothing else is used, since it may hold values."""
    field = _FIELD.search(told)
    if field:
        return field[1], int(field[2])
    segment = _SEGMENT.search(told)
    return (segment[1] if segment else "MSH"), None
