"""What the journal says: decisions that lie in no pack, so that the databases can be rebuilt from it.

An object of the journal is one line of JSON that says under which key the rest is sealed, and the rest: JSON again. An
entry never changes what another says, so their order makes no difference.
"""

import json
from typing import NamedTuple

from contracts.events import Fact
from services.deid.domain.documents import Identity
from services.deid.domain.quarantine import Ruling
from shared.errors import Unprocessable

FORMAT = "causeway.identity-journal/1"


class Merged(NamedTuple):
    """A patient goes on in another; times in seconds since 1970."""

    person: str
    survivor: str
    told: float
    undone: float | None = None


class Undone(NamedTuple):
    """A merge of ``person`` was taken back: who did it, when, and why."""

    id: str
    person: str
    who: str
    told: float
    reason: str


class Disclosure(NamedTuple):
    """Somebody was led back to the original: what kind, how many, who asked, when, and why."""

    id: str
    kind: str
    who: str
    told: float
    found: int
    reason: str


class Recalled(NamedTuple):
    """What is called back: all that was made under a profile, in one project or ("") in all of them."""

    id: str
    profile: str
    version: str
    project: str
    who: str
    told: float
    reason: str


class Entry(Fact):
    """What one transaction decided.

    ``persons`` are (person, pseudonym), ``uids`` (token of the original, drawn UID), ``packs`` (source pack, person,
    pseudonym), ``releases`` how often a study was called back (project, study_ref, how often).
    """

    project: str = ""
    persons: tuple[tuple[str, str], ...] = ()
    uids: tuple[tuple[str, str], ...] = ()
    identities: tuple[Identity, ...] = ()
    packs: tuple[tuple[str, str, str], ...] = ()
    merges: tuple[Merged, ...] = ()
    undone: tuple[Undone, ...] = ()
    disclosures: tuple[Disclosure, ...] = ()
    rulings: tuple[Ruling, ...] = ()
    recalls: tuple[Recalled, ...] = ()
    releases: tuple[tuple[str, str, int], ...] = ()


class Sealing(NamedTuple):
    """Under which key an entry is sealed: whose, and how that key is wrapped."""

    project: str
    kek_id: str
    wrapped: bytes


def to_object(sealing: Sealing, sealed: bytes) -> bytes:
    """The object of an entry."""
    head = {"format": FORMAT, **sealing._asdict(), "wrapped": sealing.wrapped.hex()}
    return json.dumps(head, sort_keys=True, separators=(",", ":")).encode() + b"\n" + sealed


def from_object(data: bytes) -> tuple[Sealing, bytes]:
    """What an object of the journal says of its key, and what is sealed; Unprocessable for anything else."""
    head, _, sealed = data.partition(b"\n")
    try:
        told = json.loads(head)
        if told["format"] != FORMAT:
            raise ValueError
        return Sealing(told["project"], told["kek_id"], bytes.fromhex(told["wrapped"])), sealed
    except (ValueError, KeyError, TypeError):
        raise Unprocessable("journal-unreadable") from None
