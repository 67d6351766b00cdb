"""Our decisions on presentation contexts, in the terms of pynetdicom."""

from typing import Any

from pynetdicom.presentation import build_context

from services.dicom_ingest.domain.negotiation import ACCEPTED, Decision, Proposal, decide
from services.dicom_ingest.domain.peers import Peer


def decided(context: Any, peer: Peer, services: frozenset[str]) -> Decision:
    """Our decision, written into the proposal: pynetdicom then has nothing to choose, and stumbles over nothing."""
    context.abstract_syntax = context.abstract_syntax or ""
    proposal = Proposal(context.context_id, str(context.abstract_syntax), tuple(map(str, context.transfer_syntax)))
    decision = decide(proposal, peer.takes, services)
    context.transfer_syntax = [decision.transfer_syntax]
    return decision


def supported(decisions: list[Decision]) -> list[Any]:
    """What pynetdicom is to know of: every class that is taken, in the syntaxes that were chosen for it."""
    syntaxes: dict[str, list[str]] = {}
    for decision in decisions:
        if decision.result == ACCEPTED:
            syntaxes.setdefault(decision.abstract_syntax, []).append(decision.transfer_syntax)
    return [build_context(abstract_syntax, chosen) for abstract_syntax, chosen in syntaxes.items()]
