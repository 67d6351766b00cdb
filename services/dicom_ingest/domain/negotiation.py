"""Which presentation contexts are accepted, and in which transfer syntax (PS3.8 section 9.3, PS3.4 annex B).

A sender is never made to compress: what it offers uncompressed is taken uncompressed, and a lossy syntax is taken only
where nothing else is offered.
"""

import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from pydicom.uid import UID

VERIFICATION = "1.2.840.10008.1.1"
#: Storage Commitment Push Model (PS3.4 annex J).
COMMITMENT = "1.2.840.10008.1.20.1"
#: Modality Performed Procedure Step (PS3.4 annex F).
STEPS = "1.2.840.10008.3.1.2.3.3"

#: The services beside storage that are always offered.
SERVICES = frozenset({VERIFICATION, COMMITMENT})

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"

#: Uncompressed pixels, the first is preferred to the second and so on.
UNCOMPRESSED = (EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG, "1.2.840.10008.1.2.1.98", DEFLATED)

#: What small data sets are read and written in: neither compressed nor deflated.
PLAIN = (EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG)

_JPEG = "1.2.840.10008.1.2.4."
#: Reversible compression (PS3.5 annex A.4); among these the sender's own order decides.
LOSSLESS = frozenset(
    {_JPEG + last for last in ("57", "58", "65", "66", "70", "80", "90", "92", "110", "201", "202")}
    | {"1.2.840.10008.1.2.5", "1.2.840.10008.1.2.8.1"}
)
#: Names in the registry of transfer syntaxes that encode no data set of a C-STORE (MIME, XML, real-time video).
_NOT_FOR_STORAGE = re.compile(r"1\.2\.840\.10008\.1\.2\.[67]\.")
_STANDARD = "1.2.840.10008."
_UID = re.compile(r"[0-9.]{1,64}")
_IRREGULAR = re.compile(r"[0-9.]{1,128}|[0-9A-Fa-f-]{32,128}")
_STORAGE_ARC = "1.2.840.10008.5.1.4.1.1."
_NOT_STORAGE = ("Storage Commitment", "Storage Management", "Media Storage Directory", "Storage Service")

ACCEPTED, ABSTRACT_SYNTAX_NOT_SUPPORTED, TRANSFER_SYNTAXES_NOT_SUPPORTED = 0, 3, 4


@dataclass(frozen=True)
class Proposal:
    """One presentation context as proposed; ``transfer_syntaxes`` in the sender's order."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True)
class Decision:
    """The answer to one proposal; ``result`` as in PS3.8 table 9-18, ``transfer_syntax`` is only used when accepted."""

    context_id: int
    abstract_syntax: str
    result: int
    transfer_syntax: str


def is_uid(text: str) -> bool:
    """Whether ``text`` is made like a unique identifier (PS3.5 section 9.1); leading zeros are let pass."""
    return _UID.fullmatch(text) is not None


def is_identifier(text: str) -> bool:
    """Whether ``text`` can serve as one: a UID, one that is too long, or the hash that some anonymizers write.

    Anything else could be a word, and a word could be a name.
    """
    return is_uid(text) or _IRREGULAR.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def is_storage(abstract_syntax: str) -> bool:
    """Whether instances of this SOP class are taken: every class that is not known to be another service's."""
    if not is_uid(abstract_syntax):
        return False
    uid = UID(abstract_syntax)
    if uid.name == abstract_syntax or not uid.type:
        return True
    if not uid.name:
        return abstract_syntax.startswith(_STORAGE_ARC)
    return "Storage" in uid.name and not uid.name.startswith(_NOT_STORAGE) and uid.type == "SOP Class"


@lru_cache(maxsize=4096)
def is_standard_storage(abstract_syntax: str) -> bool:
    """Whether this is a storage SOP class of the standard that is known by name (PS3.4 annex B.5, PS3.6 annex A)."""
    named = UID(abstract_syntax).name not in ("", abstract_syntax)
    return named and abstract_syntax.startswith(_STANDARD) and is_storage(abstract_syntax)


def _rank(position: int, syntax: str) -> tuple[int, int]:
    if syntax in UNCOMPRESSED:
        return 0, UNCOMPRESSED.index(syntax)
    if syntax in LOSSLESS:
        return 1, position
    return (3 if syntax.startswith(_STANDARD) else 2), position


def prefer(transfer_syntaxes: Iterable[str]) -> str | None:
    """The transfer syntax to take, None when none of them can carry a stored data set."""
    usable = [uid for uid in transfer_syntaxes if is_uid(uid) and not _NOT_FOR_STORAGE.match(uid)]
    return min(enumerate(usable), key=lambda numbered: _rank(*numbered), default=(0, None))[1]


def decide(
    proposal: Proposal, takes: Callable[[str], bool] = is_storage, services: Container[str] = SERVICES
) -> Decision:
    """Accept or refuse one proposed presentation context.

    ``takes`` tells of a SOP class whether it may be stored, ``services`` which other SOP classes are offered.
    """
    first = proposal.transfer_syntaxes[0] if proposal.transfer_syntaxes else IMPLICIT_LITTLE
    is_service = proposal.abstract_syntax in services
    if not is_service and not takes(proposal.abstract_syntax):
        return Decision(proposal.context_id, proposal.abstract_syntax, ABSTRACT_SYNTAX_NOT_SUPPORTED, first)
    is_small = proposal.abstract_syntax in (COMMITMENT, STEPS)
    usable = [uid for uid in proposal.transfer_syntaxes if not is_small or uid in PLAIN]
    chosen = prefer(usable)
    if chosen is None:
        return Decision(proposal.context_id, proposal.abstract_syntax, TRANSFER_SYNTAXES_NOT_SUPPORTED, first)
    return Decision(proposal.context_id, proposal.abstract_syntax, ACCEPTED, chosen)


def accepted(decisions: Iterable[Decision]) -> Mapping[int, Decision]:
    """The accepted contexts by their id."""
    return {one.context_id: one for one in decisions if one.result == ACCEPTED}
