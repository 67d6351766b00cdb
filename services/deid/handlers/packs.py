"""What de-identification does with each event."""

import asyncio
from collections.abc import Sequence

from contracts.events import (
    BatchArchived,
    CopyDamaged,
    CopyRemoved,
    CopyVerified,
    Event,
    PackDeidentified,
    PackPlanned,
    PlannedCopy,
)
from contracts.events.pack import Withheld
from services.deid.domain.facts import (
    Again,
    Outputs,
    Result,
    again,
    event_id,
    instances_quarantined,
    pack_deidentified,
    part_deidentified,
)
from services.deid.domain.packing import CleanPack, clean_pack, pack_id_of, projects_of
from services.deid.domain.part10 import Project
from services.deid.ports.content import Inputs, Projects, WorkArea
from services.deid.ports.register import Kept, Register
from shared.identity import SiteKey
from shared.messaging.cloudevent import Received
from shared.messaging.threads import in_thread
from shared.observability import logger

log = logger("causeway.deid")


class DeidHandlers:
    """De-identifies each pack once for each project, and says so as often as it is asked."""

    def __init__(
        self,
        *,
        site_key: SiteKey,
        inputs: Inputs,
        projects: Projects,
        work_area: WorkArea,
        register: Register,
        packs_at_once: int = 1,
    ) -> None:
        self._site_key = site_key
        self._inputs = inputs
        self._projects = projects
        self._work_area = work_area
        self._register = register
        self._turns = asyncio.Semaphore(packs_at_once)

    async def pack_planned(self, received: Received[PackPlanned]) -> None:
        """De-identify the pack for every project that the plan names."""
        event = received.data
        for name, copies in projects_of(event).items():
            result = await self._result(received, name)
            facts: tuple[Event | None, ...] = (
                instances_quarantined(event, name, result),
                pack_deidentified(event, name, copies, result),
            )
            told = [(event_id(self._site_key, fact.subject, received.id, name), fact) for fact in facts if fact]
            await self._register.tell([*told, *await self._parts(received, name, copies)])

    async def _parts(
        self, received: Received[PackPlanned], name: str, copies: tuple[PlannedCopy, ...]
    ) -> list[tuple[str, Event]]:
        """What is told anew of parts that were released from quarantine before this run of the plan."""
        event = received.data
        return [
            (
                event_id(self._site_key, PackDeidentified.subject, received.id, f"{name}/{part}"),
                part_deidentified(event, name, part, result.model_copy(update={"run": event.run}), copies),
            )
            for part, result in await self._register.parts(event.pack_id, name)
            if result.run < event.run
        ]

    async def batch_archived(self, received: Received[BatchArchived]) -> None:
        """Release the work area of packs whose every batch is archived."""
        await self._release(await self._register.archived(received.data.batch_id, received.time))

    async def copy_verified(self, received: Received[CopyVerified]) -> None:
        """Remember where a proven copy lies: the input when plain bytes are released."""
        event = received.data
        await self._release(await self._register.copy_proven(event.copy_key, event.proven))

    async def copy_damaged(self, received: Received[CopyDamaged]) -> None:
        """Forget a copy that can't be read any longer, until it is proven again."""
        await self._register.copy_lost(received.data.copy_key, received.data.found)

    async def copy_removed(self, received: Received[CopyRemoved]) -> None:
        """Forget a copy for good."""
        await self._register.copy_lost(received.data.copy_key, None)

    async def _release(self, kept: Sequence[Kept]) -> None:
        for result in kept:
            if result.outputs:
                await self._work_area.release(result.outputs)
            await self._register.released(result.pack_id)

    async def _result(self, received: Received[PackPlanned], name: str) -> Result:
        event = received.data
        known = await self._register.find(event.pack_id, name)
        if known and await self._stands(known, event.run):
            if event.run > known.run:
                known = known.asked_again(event, projects_of(event)[name])
                await self._register.asked(event.pack_id, name, known, received.time)
            return known
        async with self._turns:
            return await self._work(received, name, known)

    async def _stands(self, known: Result, run: int) -> bool:
        """Whether sealing can go on with a known result as it is: its bytes are here or, for a later run, in a copy."""
        if not known.released and (known.outputs is None or await self._work_area.complete(known.outputs)):
            return True
        return run > known.run and bool(await self._register.proven_copies(known.pack_id))

    async def _work(self, received: Received[PackPlanned], name: str, known: Result | None) -> Result:
        """Do it, or do it again: then what was recorded stands, unless a later run needs what is nowhere any more."""
        event = received.data
        project = await in_thread(self._projects.open, name)
        release = known.release if known else await self._register.release(project, event.study_ref)
        pack_id = known.pack_id if known else pack_id_of(event.pack_id, project, release=release)
        originals = await self._inputs.originals(event)
        workspace = self._work_area.workspace()
        try:
            pack = await in_thread(clean_pack, pack_id, originals, project, workspace)
            log.info("deidentified", instances=len(pack.released), withheld=len(pack.held), project=name)
            if known is None:
                return await self._keep(received, project, pack, release)
            renewed = await in_thread(_renewed, event, project, known, pack)
            return known if renewed is None else await self._keep(received, project, renewed, release)
        finally:
            workspace.close()

    async def _keep(self, received: Received[PackPlanned], project: Project, pack: CleanPack, release: int) -> Result:
        outputs = await self._work_area.keep(pack, project)
        report = await self._work_area.keep_report(pack, project, received.data.pack_id)
        made = _result_of(pack, received.data, project, outputs, release)
        result = made.model_copy(update={"report": report})
        await self._release(await self._register.record(received.data, received.time, project, pack, result))
        return result


def _renewed(event: PackPlanned, project: Project, known: Result, pack: CleanPack) -> CleanPack | None:
    """What is kept of work that was done again: the same pack, one of another name, or (None) nothing."""
    outcome = again(known, pack.manifest_sha256, event.run)
    if pack.manifest_sha256 != known.manifest_sha256:
        log.warning("deidentified-differs", pack_id=event.pack_id, outcome=outcome.value, project=project.name)
    if outcome is Again.STANDS:
        return None
    same = outcome is Again.KEPT
    return pack if same else pack.renamed(pack_id_of(event.pack_id, project, pack.manifest_sha256, known.release))


def _result_of(pack: CleanPack, event: PackPlanned, project: Project, outputs: Outputs | None, release: int) -> Result:
    withheld = tuple(
        Withheld(
            sop_instance_uid=one.sop_instance_uid,
            dataset_sha256=one.dataset_sha256,
            reason=one.reason.value,
        )
        for one in pack.held
    )
    result = Result(
        pack_id=pack.pack_id,
        manifest_sha256=pack.manifest_sha256,
        outputs=outputs,
        withheld=withheld,
        run=event.run,
        plan_id=event.plan_id,
        copies=projects_of(event)[project.name],
        profile=project.profile.name,
        profile_version=project.profile.version,
        release=release,
    )
    return result.asked_for(projects_of(event)[project.name])
