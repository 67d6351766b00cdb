"""What de-identification does with each event."""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from contracts.events import (
    BatchArchived,
    CopyDamaged,
    CopyRemoved,
    CopyVerified,
    Event,
    PackPlanned,
)
from contracts.events.pack import Withheld
from services.deid.domain.facts import Outputs, Result, event_id, instances_quarantined, pack_deidentified
from services.deid.domain.packing import CleanPack, clean_pack, projects_of
from services.deid.ports.content import Inputs, Projects, WorkArea
from services.deid.ports.register import Quarantine, Register
from shared.errors import Unprocessable
from shared.http.access import log_access
from shared.identity import SiteKey
from shared.messaging.cloudevent import Received
from shared.messaging.threads import in_thread
from shared.observability import logger

log = logger("causeway.deid")


class OutputDiffers(Unprocessable):
    """The work was done again and came to something else: other rules than those it was recorded under."""

    def __init__(self) -> None:
        super().__init__("deidentified-differs")


class QuarantineHandlers:
    """What is withheld, over HTTP: references and reasons, nothing from a header."""

    def __init__(self, *, quarantine: Quarantine) -> None:
        self._quarantine = quarantine

    def routes(self) -> tuple[BaseRoute, ...]:
        """``GET /api/quarantine``."""
        return (Route("/api/quarantine", self.listed),)

    async def listed(self, request: Request) -> Response:
        """Every withheld instance with its reason."""
        found = await self._quarantine.quarantine()
        log_access(request, "quarantine", count=len(found))
        return JSONResponse({"withheld": list(found)})


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
            result = await self._result(event, name)
            facts: tuple[Event | None, ...] = (
                instances_quarantined(event, name, result),
                pack_deidentified(event, name, copies, result),
            )
            told = [(event_id(self._site_key, fact.subject, received.id, name), fact) for fact in facts if fact]
            await self._register.tell(told)

    async def batch_archived(self, received: Received[BatchArchived]) -> None:
        """Release the work area of packs whose every batch is archived."""
        for pack_id, project, result in await self._register.archived(received.data.batch_id):
            if result.outputs:
                await self._work_area.release(result.outputs)
            await self._register.released(pack_id, project)

    async def copy_verified(self, received: Received[CopyVerified]) -> None:
        """Remember where a proven identified copy lies: the input when landing is released."""
        if received.data.copy_key.form == "identified":
            await self._register.copy_proven(received.data.copy_key)

    async def copy_lost(self, received: Received[CopyDamaged | CopyRemoved]) -> None:
        """Forget a copy that can't be read any longer."""
        await self._register.copy_lost(received.data.copy_key)

    async def _result(self, event: PackPlanned, name: str) -> Result:
        known = await self._register.find(event.pack_id, name)
        if known and not known.released and await self._complete(known):
            if event.run > known.run:
                await self._register.ran(event.pack_id, name, known, event.run)
            return known
        async with self._turns:
            return await self._work(event, name, known)

    async def _complete(self, known: Result) -> bool:
        return known.outputs is None or await self._work_area.complete(known.outputs)

    async def _work(self, event: PackPlanned, name: str, known: Result | None) -> Result:
        """Do it, or do it again: then it must come to the same, and is only kept when the plan was started anew."""
        project = await in_thread(self._projects.open, name)
        originals = await self._inputs.originals(event)
        workspace = self._work_area.workspace()
        try:
            pack = await in_thread(clean_pack, event.pack_id, originals, project, workspace)
            if known and pack.manifest_sha256 != known.manifest_sha256:
                raise OutputDiffers
            if known and known.released and event.run <= known.run:
                log.info("deidentified-again", instances=len(pack.released), withheld=len(pack.held), project=name)
                return known
            result = _result_of(pack, event, await self._work_area.keep(pack, project))
            await self._register.record(event, project, pack, result)
        finally:
            workspace.close()
        log.info("deidentified", instances=len(pack.released), withheld=len(pack.held), project=name)
        return result


def _result_of(pack: CleanPack, event: PackPlanned, outputs: Outputs | None) -> Result:
    withheld = tuple(
        Withheld(
            sop_instance_uid=one.sop_instance_uid,
            dataset_sha256=one.dataset_sha256,
            reason=one.reason.value,
        )
        for one in pack.held
    )
    return Result(
        pack_id=pack.pack_id, manifest_sha256=pack.manifest_sha256, outputs=outputs, withheld=withheld, run=event.run
    )
