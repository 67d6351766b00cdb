"""Who gets what: the systems that messages go on to, and which messages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

#: Which versions each form of a message of our own can be built in. ORM^O01 ends with 2.6, OMI^O23 begins with 2.5 and
#: OMG^O19 with 2.4 (HL7 v2 chapter 4); IHE RAD TF-2 names 2.3.1 and 2.5.1.
_ALL = ("2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7")
FORMS: Mapping[str, tuple[str, ...]] = {
    "orm": ("2.3.1", "2.4", "2.5", "2.5.1", "2.6"),
    "omg": ("2.4", "2.5", "2.5.1", "2.6", "2.7"),
    "omi": ("2.5", "2.5.1", "2.6", "2.7"),
    "oru": _ALL,
}


@dataclass(frozen=True)
class Taken:
    """A message that was kept: its place in the order of receipt, and what its header says of it.

    ``sender`` is MSH-3 and ``facility`` MSH-4 as sent; ``refused`` for one that was answered with AE.
    """

    sequence: int
    ref: str
    type: str
    trigger: str
    sender: str
    facility: str
    refused: bool = False


@dataclass(frozen=True)
class Match:
    """A rule: a message must fit every line that is given. ``types`` are such as ``ADT`` or ``ADT^A08``."""

    types: frozenset[str] = frozenset()
    senders: frozenset[str] = frozenset()
    facilities: frozenset[str] = frozenset()

    def takes(self, taken: Taken) -> bool:
        """Whether the message is meant; a name fits MSH-3 or MSH-4 as a whole or its first component."""
        return (
            (not self.types or bool(self.types & {taken.type, f"{taken.type}^{taken.trigger}"}))
            and _named(self.senders, taken.sender)
            and _named(self.facilities, taken.facility)
        )


def _named(wanted: frozenset[str], name: str) -> bool:
    return not wanted or name in wanted or name.partition("^")[0] in wanted


@dataclass(frozen=True)
class Tls:
    """Who is trusted (the system's authorities without ``ca``), what proves us, and the name that must be proven."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str | None = None


@dataclass(frozen=True)
class Own:
    """How messages of our own look: forms by occasion (``None``: it gets none), and what MSH says.

    ``codec`` is Python's, ``charset`` what MSH-18 says; ``replaces``: characters that it cannot hold become ``?``,
    otherwise the message is set aside.
    """

    status: str | None = None
    study_available: str | None = None
    study_uid: str | None = None
    version: str = "2.5.1"
    charset: str = "UNICODE UTF-8"
    codec: str = "utf-8"
    replaces: bool = False
    application: str = "CAUSEWAY"
    facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""


@dataclass(frozen=True)
class Receiver:
    """A system that gets messages. Times in seconds.

    ``rules``: any of them makes it get a message; all messages without one, none when it is None. ``tries`` is how
    often a message is sent that it refuses (AE, CE) before it is set aside.
    """

    name: str
    host: str
    port: int
    tls: Tls | None = None
    rules: tuple[Match, ...] | None = ()
    refused: bool = False
    own: Own = Own()
    first: float = 1.0
    longest: float = 60.0
    connect_timeout: float = 10.0
    answer_timeout: float = 30.0
    tries: int = 1
    keep_open: bool = True
    held: bool = False

    @property
    def lease(self) -> float:
        """Seconds for which a process holds its queue: longer than a message may take."""
        return self.needed + 15.0

    @property
    def needed(self) -> float:
        """Seconds that a message may take: to find the receiver, to reach it, to be answered."""
        return 2 * self.connect_timeout + self.answer_timeout

    def gets(self, taken: Taken) -> bool:
        """Whether a message is passed on to it."""
        if self.rules is None or (taken.refused and not self.refused):
            return False
        return not self.rules or any(rule.takes(taken) for rule in self.rules)


@dataclass(frozen=True)
class Waiting:
    """A message at the head of a queue. ``content`` is None when its bytes are not there any more.

    ``unchecked`` is one of our own that nobody has tried to send: it is to be checked against its profile.
    """

    number: int
    kind: str
    ref: str
    attempts: int
    content: bytes | None = field(repr=False)
    unchecked: bool = False


@dataclass(frozen=True)
class Ahead:
    """What a look at a queue finds: the next messages, and as ``held`` what ``Held`` says, None when it is lost."""

    held: "Held | None"
    messages: tuple[Waiting, ...]


@dataclass(frozen=True)
class Held:
    """That this process is the one that sends, and an operator's word: None where the file's counts."""

    by_operator: bool | None
