"""What is to be sealed, and the receipt that says it was."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from contracts.events import (
    BatchArchived,
    Blob,
    Fact,
    Form,
    PackDeidentified,
    PackPlanned,
    PackRecalled,
    PackSealed,
    PlannedCopy,
    Sealed,
)
from shared.identity import SiteKey

#: Ids were once made with the number of the receipt, which then was nearly always this one.
_FIRST_RECEIPT = 1


@dataclass(frozen=True)
class Source:
    """Plain bytes of one landing batch, or of one de-identified pack; ``left_out`` are the entries that stay out."""

    manifest: Blob
    headers: Blob
    archive: Blob
    instances: int
    left_out: str = ""


@dataclass(frozen=True)
class SealOrder:
    """One pack that is to be sealed under one key domain. ``cause`` is the id of the event that asks for it."""

    cause: str
    sealed_id: str
    pack_id: str
    form: Form
    key_domain: str
    study_ref: str
    study_key_id: str
    sources: tuple[Source, ...]
    copies: tuple[PlannedCopy, ...]
    run: int


class Receipt(Fact):
    """The commit point of a sealing: with it the sealed pack is there, without it there is nothing.

    ``envelope`` is the beginning of the sealed pack up to its nonces, in hexadecimal, so that the same bytes can be
    made again should the buffer lose some. ``generation`` counts the receipts of a pack from 1; they differ in the
    keys of the parts that were made again, and in nothing else.
    """

    format: Literal["causeway.receipt/1"] = "causeway.receipt/1"
    generation: int
    sealed: Sealed
    envelope: str


def _order(
    site_key: SiteKey,
    cause: str,
    event: PackPlanned | PackDeidentified,
    sources: tuple[Source, ...],
    copies: tuple[PlannedCopy, ...],
    project: str,
    release: int = 0,
) -> SealOrder:
    form, domain = copies[0].form, copies[0].key_domain
    return SealOrder(
        cause=cause,
        sealed_id=site_key.token("sealed", event.pack_id, domain),
        pack_id=event.pack_id,
        form=form,
        key_domain=domain,
        study_ref=event.study_ref,
        study_key_id=study_key_id(site_key, domain, form, project, event.study_ref, release),
        sources=sources,
        copies=copies,
        run=event.run,
    )


def study_key_id(site_key: SiteKey, domain: str, form: Form, project: str, study_ref: str, release: int) -> str:
    """What the study key is called. A release that was called back shares its key with no other.

    Form and project are part of it: a key id stands readable in a copy and must not join what is de-identified to
    anything else.
    """
    later = [release] if release else []
    return site_key.token("study-key", domain, form, project, study_ref, *later)


def recalled_keys(site_key: SiteKey, event: PackRecalled) -> tuple[tuple[str, str], ...]:
    """The study keys of a release that is called back, each as (key domain, id)."""
    return tuple(
        (domain, study_key_id(site_key, domain, "deidentified", event.project, event.study_ref, event.release))
        for domain in event.key_domains
    )


def _by_domain(copies: Iterable[PlannedCopy], form: str) -> Iterable[tuple[PlannedCopy, ...]]:
    domains: dict[str, list[PlannedCopy]] = {}
    for copy in copies:
        if copy.form == form:
            domains.setdefault(copy.key_domain, []).append(copy)
    return (tuple(domains[domain]) for domain in sorted(domains))


def planned_orders(site_key: SiteKey, cause: str, event: PackPlanned) -> tuple[SealOrder, ...]:
    """One order for each key domain of the plan's identified copies; none when it has only others."""
    sources = tuple(
        Source(batch.manifest, batch.headers, batch.archive, batch.instances, left_out)
        for batch, left_out in event.contents
    )
    copies = _by_domain(event.copies, "identified")
    return tuple(_order(site_key, cause, event, sources, group, "") for group in copies)


def deidentified_orders(site_key: SiteKey, cause: str, event: PackDeidentified) -> tuple[SealOrder, ...]:
    """One order for each key domain of a de-identified pack's copies."""
    sources = (Source(event.manifest, event.headers, event.archive, event.instances),)
    copies = _by_domain(event.copies, "deidentified")
    return tuple(_order(site_key, cause, event, sources, group, event.project, event.release) for group in copies)


def pack_sealed(order: SealOrder, receipt: Receipt) -> PackSealed:
    """The fact that the pack of ``order`` lies sealed, as its receipt says."""
    return PackSealed(sealed=receipt.sealed, copies=order.copies, run=order.run)


def event_id(site_key: SiteKey, order: SealOrder) -> str:
    """The ``ce-id`` of ``pack.sealed``: the same for a repeat of its cause, also when parts lie elsewhere by now.

    Whoever has to hear of other places hears of them under the run that made them.
    """
    return site_key.event_id(PackSealed.subject, order.cause, order.sealed_id, _FIRST_RECEIPT, order.run)


def releasable(event: BatchArchived) -> tuple[str, ...]:
    """The sealed packs whose buffer may go: those of the batch of which at least one copy is named as proven.

    The ledger says ``archived`` when every planned copy is proven, withheld or cancelled; a pack without a single
    proven copy would be lost with its buffer, so it stays whatever the ledger says.
    """
    proven = {copy.sealed_id for copy in event.copies}
    return tuple(sealed_id for sealed_id in event.sealed_ids if sealed_id in proven)
