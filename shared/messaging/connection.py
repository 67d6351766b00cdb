"""How every connection of ours behaves: it never gives up, keeps no buffer, and notices a dead peer in seconds.

A connection that gives up is closed for good, and FastStream's loop then freezes. What is buffered while it is down is
delivered later, behind the back of a caller who was told that it failed.
"""

from typing import Any, Protocol

import nats
from faststream.nats.security import NatsUserPassword
from nats.aio.client import Client

#: What every connection of ours says, to FastStream's broker and to nats-py alike.
PERSISTENCE: dict[str, Any] = {
    "allow_reconnect": True,
    "max_reconnect_attempts": -1,
    "reconnect_time_wait": 1,
    "connect_timeout": 5,
    "ping_interval": 15,
    "max_outstanding_pings": 2,
    "pending_size": 0,
}


class BusSettings(Protocol):
    """What the bus reads of a service's settings."""

    @property
    def nats_url(self) -> str: ...
    @property
    def nats_user(self) -> str | None: ...
    @property
    def nats_password(self) -> Any: ...
    @property
    def site(self) -> str: ...


def inbox_prefix(service: str) -> str:
    """Where the answers to ``service`` arrive: a place of its own, so that no other may listen."""
    return f"_INBOX_{service}"


def _login(settings: BusSettings) -> tuple[str, str] | None:
    password = settings.nats_password
    secret = password.get_secret_value() if hasattr(password, "get_secret_value") else password
    return (settings.nats_user, secret or "") if settings.nats_user else None


def security(settings: BusSettings) -> NatsUserPassword | None:
    login = _login(settings)
    return NatsUserPassword(*login) if login else None


async def open_client(settings: BusSettings, name: str, **options: Any) -> Client:
    """A bare connection with the same manners, for the heartbeat and for tools."""
    login = _login(settings)
    credentials = {"user": login[0], "password": login[1]} if login else {}
    return await nats.connect(settings.nats_url, name=name, **(PERSISTENCE | credentials | options))
