"""One method per event; each is one transaction and may be repeated."""

from collections.abc import Mapping

from contracts.events import (
    Batch,
    BatchArchived,
    BatchStored,
    CopyDamaged,
    CopyFailed,
    CopyRemoved,
    CopyVerified,
    CopyWritten,
    InstancesQuarantined,
    OrderCancelled,
    OrderChanged,
    OrderPlaced,
    PackDeidentified,
    PackPlanned,
    PackRecalled,
    PackSealed,
    PatientMerged,
    StepReported,
)
from contracts.formats.left_out import read_numbers, without
from contracts.formats.manifest import Manifest, merge
from services.catalog.domain import arrival
from services.catalog.domain.identity import identity
from services.catalog.domain.steps import Reported
from services.catalog.ports import Arrivals, Copies, Documents
from shared.messaging.cloudevent import Received


class EventHandlers:
    """Keeps the index. ``quiet`` and ``quiet_by_source`` are seconds (by calling AE title).

    A batch may tell itself how long its sender pauses; what the catalogue's own settings say of a source counts more.
    """

    def __init__(
        self,
        *,
        arrivals: Arrivals,
        copies: Copies,
        documents: Documents,
        quiet: float,
        quiet_by_source: Mapping[str, float],
    ) -> None:
        self._arrivals = arrivals
        self._copies = copies
        self._documents = documents
        self._quiet = quiet
        self._quiet_by_source = quiet_by_source

    async def batch_stored(self, received: Received[BatchStored]) -> None:
        """Put the batch's instances, series and study into the index."""
        event = received.data
        manifest = await self._documents.manifest(event.batch.manifest)
        batch = arrival.Batch(
            batch_id=event.batch.batch_id,
            study_uid=event.study_uid,
            study_ref=event.study_ref,
            closed=event.closed.timestamp(),
            quiet=self._pause(manifest, event.quiet),
            arrived=await self._arrived(event.batch, manifest),
        )
        await self._arrivals.register(batch)

    def _pause(self, manifest: Manifest, told: float | None) -> float:
        source = manifest.source.calling_ae if manifest.source else None
        return self._quiet_by_source.get(source or "", told or self._quiet)

    async def _arrived(self, batch: Batch, manifest: Manifest) -> tuple[arrival.Arrived, ...]:
        headers = [header.header or {} async for header in self._documents.headers(batch)]
        return tuple(arrival.Arrived(one, header) for one, header in zip(manifest.instances, headers, strict=True))

    async def pack_planned(self, received: Received[PackPlanned]) -> None:
        """Note where each instance lies in the pack: the merged manifest is a pure function of the plan's batches."""
        event = received.data
        manifests = [
            without(await self._documents.manifest(batch.manifest), read_numbers(left_out))
            for batch, left_out in event.contents
        ]
        merged = merge(manifests, event.pack_id)
        entries = [
            (identity(one.sop_instance_uid, one.dataset_sha256, one.transfer_syntax), one) for one in merged.instances
        ]
        await self._copies.add_entries(event.pack_id, entries)

    async def pack_deidentified(self, received: Received[PackDeidentified]) -> None:
        """Note which original instance lies where in the de-identified pack."""
        event = received.data
        manifest = await self._documents.manifest(event.manifest)
        originals = {
            link["entry"]: identity(link["sop_instance_uid"], link["dataset_sha256"], link["transfer_syntax"])
            for link in await self._documents.links(event.links)
        }
        entries = [(originals[one.entry], one) for one in manifest.instances]
        await self._copies.add_deidentified(event, entries)

    async def instances_quarantined(self, received: Received[InstancesQuarantined]) -> None:
        """Note what was withheld, and why."""
        await self._copies.add_withheld(received.data)

    async def pack_recalled(self, received: Received[PackRecalled]) -> None:
        """Show and tell none of a pack's copies any more: its profile proved too weak."""
        await self._copies.add_recalled(received.data)

    async def pack_sealed(self, received: Received[PackSealed]) -> None:
        """Note the seal, without which no copy can be located."""
        await self._copies.add_sealed(received.data.sealed)

    async def copy_written(self, received: Received[CopyWritten]) -> None:
        """Note an unproven copy."""
        event = received.data
        await self._copies.add_copy(event.copy_key, "written", written=event.written.timestamp())

    async def copy_verified(self, received: Received[CopyVerified]) -> None:
        """Note a proof: when, and of what level."""
        event = received.data
        facts = {
            "written": event.written.timestamp(),
            "proven": event.proven.timestamp(),
            "level": event.level,
        }
        await self._copies.add_copy(event.copy_key, "proven", **facts)

    async def copy_damaged(self, received: Received[CopyDamaged]) -> None:
        """Note that a copy is not what it should be."""
        event = received.data
        await self._copies.add_copy(event.copy_key, "damaged", damaged=event.found.timestamp())

    async def copy_failed(self, received: Received[CopyFailed]) -> None:
        """Note a copy that its target refuses."""
        await self._copies.add_copy(received.data.copy_key, "failed")

    async def copy_removed(self, received: Received[CopyRemoved]) -> None:
        """Note that a copy is gone."""
        event = received.data
        await self._copies.add_copy(event.copy_key, "removed", removed=event.removed.timestamp())

    async def batch_archived(self, received: Received[BatchArchived]) -> None:
        """Note that a batch needs its plain bytes no more."""
        await self._arrivals.archive_batch(received.data, received.time.timestamp())

    async def order_known(self, received: Received[OrderPlaced | OrderChanged]) -> None:
        """Note an order: evidence that a study was expected."""
        await self._arrivals.add_order(received.data)

    async def order_cancelled(self, received: Received[OrderCancelled]) -> None:
        """Note that an order is void."""
        await self._arrivals.cancel_order(received.data)

    async def patient_merged(self, received: Received[PatientMerged]) -> None:
        """Note that two patients are one: either id finds the studies of both."""
        await self._arrivals.add_merge(received.data)

    async def step_reported(self, received: Received[StepReported]) -> None:
        """Note where a procedure step stands and what it made: evidence that a study is complete."""
        event = received.data
        named = None if event.references is None else await self._documents.references(event.references)
        await self._arrivals.add_report(
            Reported(event.step_ref, event.number, event.state, event.study_uids, named),
        )
