"""Decisions on what is withheld, carried out."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, BinaryIO

from contracts.events import PackDeidentified
from services.deid.domain.candidate import Candidate, approving, candidate_of, original_of, part_id_of
from services.deid.domain.facts import event_id, part_deidentified
from services.deid.domain.part10 import Project
from services.deid.domain.quarantine import Action, Entry, Ruling, State, Verdict, VerdictRefused, is_repeat
from services.deid.domain.showing import candidate_document
from services.deid.domain.workspace import Workspace, part_of
from services.deid.ports.content import Projects, WorkArea
from services.deid.ports.quarantine import Quarantine
from shared.errors import RetryLater
from shared.identity import SiteKey
from shared.messaging.threads import in_thread
from shared.observability import logger

#: Who decides when the time is over, and why.
_RETENTION = ("retention", "nobody decided in time")

log = logger("causeway.deid.quarantine")


class Deciding:
    """Approves, rejects and retries; ``keep_days`` is how long an entry waits for a decision, None for ever."""

    def __init__(
        self,
        site_key: SiteKey,
        quarantine: Quarantine,
        projects: Projects,
        work_area: WorkArea,
        keep_days: int | None = None,
        look_every: float = 60.0,
    ) -> None:
        self._site_key = site_key
        self._quarantine = quarantine
        self._projects = projects
        self._work_area = work_area
        self._keep_days = keep_days
        self._look_every = look_every
        self._turns = asyncio.Semaphore(1)

    async def decide(self, entry: Entry, verdict: Verdict, who: str, now: datetime) -> str:
        """Carry a decision out; a code of what came of it. The same one twice is one. VerdictRefused."""
        if is_repeat(entry.state, verdict.action):
            await self._tell()
            return "already-decided"
        rule = partial(_ruling, entry, verdict.action, who, now, verdict.reason)
        if verdict.action is Action.REJECT:
            outcome = "rejected"
            done = await self._quarantine.decide(entry, rule(State.REJECTED, outcome))
        else:
            outcome, done = await self._clean(entry, verdict, rule)
        if not done:
            raise VerdictRefused("somebody-else-decided")
        await self.tidy()
        return outcome

    async def _clean(self, entry: Entry, verdict: Verdict, rule: Callable[[State, str], Ruling]) -> tuple[str, bool]:
        plan = await self._quarantine.plan_of(entry)
        if plan is None or not plan.copies:
            raise VerdictRefused("plan-not-known")
        is_approval = verdict.action is Action.APPROVE
        async with self._candidate(entry, approved=is_approval) as (project, candidate):
            if candidate.reason is not None:
                if is_approval:
                    raise VerdictRefused(f"cannot-be-cleaned-{candidate.reason.value}")
                found = replace(entry, reason=candidate.reason.value, findings=candidate.findings)
                outcome = f"withheld-{candidate.reason.value}"
                return outcome, await self._quarantine.decide(entry, rule(State.WAITING, outcome), found)
            if is_approval and candidate.digest != verdict.candidate:
                raise VerdictRefused("changed-since-it-was-looked-at")
            pack = candidate.pack
            outputs = await self._work_area.keep(pack, project)
            report = await self._work_area.keep_report(pack, project, entry.source_pack_id)
            facts = {"pack_id": pack.pack_id, "manifest_sha256": pack.manifest_sha256, "outputs": outputs}
            rules = {"profile": project.profile.name, "profile_version": project.profile.version, "report": report}
            result = plan.model_copy(update={**facts, **rules, "withheld": (), "released": False})
            state, outcome = (State.APPROVED, "approved") if is_approval else (State.CLEANED, "cleaned")
            return outcome, await self._quarantine.let_go(entry, rule(state, outcome), project, pack, result)

    async def candidate_document(self, entry: Entry) -> dict[str, Any]:
        """What would go out, for people to read."""
        if entry.state is not State.WAITING or entry.instance is None:
            return candidate_document(entry, None)
        async with self._candidate(entry, approved=True) as (_, candidate):
            return await in_thread(candidate_document, entry, candidate)

    @asynccontextmanager
    async def file(self, entry: Entry, *, cleaned: bool) -> AsyncIterator[BinaryIO | None]:
        """The original, or what would go out; None when there is no such file (any more)."""
        if entry.state is not State.WAITING or entry.instance is None:
            yield None
            return
        async with self._workspace() as workspace:
            if not cleaned:
                sources = [self._work_area.held(entry.blob_key, entry.size)]
                yield await in_thread(original_of, entry.instance, sources, workspace)
                return
            async with self._made(entry, workspace, approved=True) as (_, candidate):
                released = candidate.pack.released
                yield part_of(workspace.cleaned, released[0].file) if released else None

    @asynccontextmanager
    async def _candidate(self, entry: Entry, *, approved: bool) -> AsyncIterator[tuple[Project, Candidate]]:
        async with self._workspace() as workspace, self._made(entry, workspace, approved=approved) as made:
            yield made

    @asynccontextmanager
    async def _workspace(self) -> AsyncIterator[Workspace]:
        """Files to work in; one at a time, as each may be large."""
        async with self._turns:
            workspace = self._work_area.workspace()
            try:
                yield workspace
            finally:
                workspace.close()

    @asynccontextmanager
    async def _made(
        self, entry: Entry, workspace: Workspace, *, approved: bool
    ) -> AsyncIterator[tuple[Project, Candidate]]:
        if entry.instance is None:
            raise VerdictRefused("not-described")
        project = await in_thread(self._projects.open, entry.project)
        used = approving(project) if approved else project
        plan = await self._quarantine.plan_of(entry)
        pack_id = part_id_of(entry.source_pack_id, entry.instance, project, plan.release if plan else 0)
        sources = [self._work_area.held(entry.blob_key, entry.size)]
        studies = await self._quarantine.studies_of(entry)
        yield project, await in_thread(candidate_of, pack_id, entry.instance, sources, used, workspace, studies)

    async def _tell(self) -> None:
        """Tell of every part that nobody was told of: this process, or one before it, was cut short."""
        for entry, part, result in await self._quarantine.untold():
            fact = part_deidentified(entry, entry.project, part, result, result.copies)
            told = event_id(self._site_key, PackDeidentified.subject, entry.id, result.pack_id)
            await self._quarantine.tell(result, told, fact)

    async def tidy(self) -> None:
        """Tell what is to be told, and drop the bytes of what is decided."""
        await self._tell()
        for entry in await self._quarantine.unwanted():
            await self._work_area.forget(entry.blob_key, entry.size)
            await self._quarantine.bytes_gone(entry)

    async def expire(self, now: datetime) -> None:
        """Decide of what has waited too long."""
        if self._keep_days is None:
            return
        for entry in await self._quarantine.overdue((now - timedelta(days=self._keep_days)).timestamp()):
            who, reason = _RETENTION
            ruling = _ruling(entry, Action.EXPIRE, who, now, reason, State.EXPIRED, "expired")
            if await self._quarantine.decide(entry, ruling):
                log.info("quarantine-decided", who=who, action=Action.EXPIRE.value, outcome="expired", ref=entry.id)

    async def run(self, clock: Callable[[], datetime]) -> None:
        """Do both, for ever."""
        while True:
            try:
                await self.expire(clock())
                await self.tidy()
            except RetryLater as error:
                log.warning("quarantine-waits", reason=error.reason)
            await asyncio.sleep(self._look_every)


def _ruling(entry: Entry, action: Action, who: str, now: datetime, reason: str, state: State, outcome: str) -> Ruling:
    told = now.timestamp()
    return Ruling(secrets.token_hex(16), entry.id, action.value, state.value, who, told, outcome, reason)
