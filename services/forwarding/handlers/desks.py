"""What belongs to each destination, made of what it needs from outside."""

from dataclasses import dataclass
from typing import Protocol

from services.forwarding.domain.answers import DestinationAway
from services.forwarding.domain.destinations import Destination
from services.forwarding.domain.notices import CLASSES
from services.forwarding.handlers.events import Forwarding
from services.forwarding.handlers.gate import Gate
from services.forwarding.handlers.http import Desk, Standing
from services.forwarding.handlers.notifying import Notifying
from services.forwarding.ports.content import Inputs
from services.forwarding.ports.destination import Ledger, Sender
from services.forwarding.ports.notices import Documents, NoticeLedger, Notifier
from shared.breaker import Breaker
from shared.identity import SiteKey


class Kept(Standing, Protocol):
    """What is asked and decided of a destination, and whether it is held."""

    async def is_held(self) -> bool | None:
        """What an operator decided; None when nobody did."""
        ...


class InstanceBook(Ledger, Kept, Protocol):
    """A ledger of instances."""


class NoticeBook(NoticeLedger, Kept, Protocol):
    """A ledger of notices."""


class Outside(Protocol):
    """Makes what a destination needs."""

    @property
    def inputs(self) -> Inputs:
        """What arrived."""
        ...

    @property
    def documents(self) -> Documents:
        """What claim checks stand for."""
        ...

    @property
    def site_key(self) -> SiteKey:
        """Of ids that are the same for a repeat."""
        ...

    def sender(self, destination: Destination) -> Sender:
        """Of one that gets instances."""
        ...

    def notifier(self, destination: Destination) -> Notifier:
        """Of one that gets notices."""
        ...

    def instances(self, name: str) -> InstanceBook:
        """What became of instances at it."""
        ...

    def notices(self, name: str) -> NoticeBook:
        """What became of notices at it."""
        ...


@dataclass(frozen=True)
class Pauses:
    """Seconds: between two attempts at a destination that is away, and how soon another process's word is noticed."""

    first: float
    longest: float
    look_every: float


def desk_of(destination: Destination, outside: Outside, pauses: Pauses) -> Desk:
    """The queue of a destination by its kind."""
    make = _notifying if destination.kind in CLASSES else _forwarding
    return make(destination, outside, pauses)


def _forwarding(destination: Destination, outside: Outside, pauses: Pauses) -> Desk:
    ledger, sender = outside.instances(destination.name), outside.sender(destination)
    gate, circuit = _gate(destination, ledger, pauses), _circuit(destination, sender, pauses)
    queue = Forwarding(
        destination=destination,
        inputs=outside.inputs,
        sender=sender,
        ledger=ledger,
        circuit=circuit,
        gate=gate,
        look_every=pauses.look_every,
    )
    return Desk(destination.kind, ledger, gate, queue, circuit, sender.close)


def _notifying(destination: Destination, outside: Outside, pauses: Pauses) -> Desk:
    ledger, notifier = outside.notices(destination.name), outside.notifier(destination)
    gate, circuit = _gate(destination, ledger, pauses), _circuit(destination, notifier, pauses)
    queue = Notifying(
        destination=destination,
        documents=outside.documents,
        notifier=notifier,
        ledger=ledger,
        circuit=circuit,
        gate=gate,
        site_key=outside.site_key,
        look_every=pauses.look_every,
    )
    return Desk(destination.kind, ledger, gate, queue, circuit, notifier.close)


def _gate(destination: Destination, ledger: Kept, pauses: Pauses) -> Gate:
    return Gate(by_file=destination.held, decided=ledger.is_held, look_every=pauses.look_every)


def _circuit(destination: Destination, there: Sender | Notifier, pauses: Pauses) -> Breaker:
    return Breaker(
        target=destination.name,
        away=DestinationAway,
        probe=there.probe,
        first=pauses.first,
        longest=pauses.longest,
    )
