"""What a handler says of itself while it waits for something outside: it kills nobody meanwhile (attempts.py)."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar

#: Gives up the turn of the message that this task is at work on; None where it has none.
GIVE_UP_TURN: ContextVar[Callable[[], Awaitable[None]] | None] = ContextVar("give_up_turn", default=None)


async def stand_aside() -> None:
    """Let the next suspect begin: what follows is waiting. Quiet where no message is at work or has a turn."""
    give_up = GIVE_UP_TURN.get()
    if give_up is not None:
        await give_up()
