"""Reports on performed procedure steps: durable before they are answered, then told to the bus in their order."""

import asyncio
import contextlib
from datetime import UTC, datetime

from contracts.events import Blob, StepReported
from services.dicom_ingest.domain import step, step_report
from services.dicom_ingest.domain.command import Command
from services.dicom_ingest.domain.step import LONGEST_REPORT, RESOURCE_LIMITATION, Kind, StepRefused, StepRules
from services.dicom_ingest.domain.step_report import Report
from services.dicom_ingest.domain.visit import Visit
from services.dicom_ingest.ports import Publisher
from services.dicom_ingest.ports.steps import StepReports
from shared.errors import RetryLater
from shared.identity import SiteKey
from shared.messaging.threads import in_thread
from shared.observability import logger, metrics
from shared.storage import BlobStore, put_parts

log = logger("dicom_ingest.steps")

#: How often is looked for what another process has kept, and for what is old, seconds.
LOOK_EVERY = 1.0


class Steps:
    """Takes reports on the threads of associations, and tells of them on the event loop."""

    def __init__(
        self, reports: StepReports, rules: StepRules, *, store: BlobStore, bus: Publisher, site_key: SiteKey
    ) -> None:
        self._reports = reports
        self._rules = rules
        self._store = store
        self._bus = bus
        self._site_key = site_key
        self._news = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self, visit: Visit, command: Command, abstract_syntax: str, transfer_syntax: str) -> "Reporting":
        """Begin to take a report; InstanceRefused."""
        kind = step.kind_of(command, abstract_syntax)
        return Reporting(self, visit, kind, command.sop_instance, transfer_syntax)

    def take(self, visit: Visit, kind: Kind, sop_instance: str, transfer_syntax: str, data_set: bytes) -> None:
        """Return when the report is durable; StepRefused."""
        said, ref = step.read(data_set, transfer_syntax), step_report.step_ref(self._site_key, sop_instance)
        try:
            with self._reports.turn():
                after = step.follow(self._reports.known(ref), kind, said, self._rules.mode)
                report = Report(
                    step_ref=ref,
                    kind=kind,
                    step=after,
                    received=datetime.now(UTC),
                    traceparent=visit.traceparent,
                    instances=said.instances if said else None,
                    file=step_report.as_file(sop_instance, transfer_syntax, data_set),
                )
                self._reports.keep(report)
        except OSError:
            raise StepRefused("disk-refuses", RESOURCE_LIMITATION) from None
        except StepRefused as refused:
            log.warning("step-refused", ref=ref, reason=refused.reason, dicom_status=refused.status)
            raise
        log.info("step-reported", ref=ref, kind=kind, state=after.state, sequence=after.number)
        self._wake()

    async def run(self) -> None:
        """Tell the bus, and forget what is old, until cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            self._news.clear()
            try:
                with self._reports.telling() as is_ours:
                    if is_ours:
                        await self._tell_all()
            except RetryLater as error:
                log.warning("step-waits", reason=error.reason)
            except OSError as error:
                log.warning("step-waits", error=type(error).__name__)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY):
                    await self._news.wait()

    async def _tell_all(self) -> None:
        while waiting := await in_thread(self._reports.waiting):
            for report in waiting:
                await self._tell(report)
                await in_thread(self._reports.told, report)
                metrics().count("causeway_steps_total", kind=report.kind, state=report.step.state)
        for ref in await in_thread(self._reports.old, self._rules.kept):
            await self._forget(ref)

    async def _tell(self, report: Report) -> None:
        """Return when the stream has it; RetryLater. A repeat finds its own bytes and makes the same event."""
        key = f"{self._folder(report.step_ref)}/{report.name}"
        file = await self._put(f"{key}/report", report.file)
        document = step_report.references(report)
        named = None if document is None else await self._put(f"{key}/references", document)
        event = step_report.told(report, self._site_key, file, named)
        event_id = self._site_key.event_id(StepReported.subject, report.step_ref, report.name)
        await self._bus.publish(event, id=event_id, traceparent=report.traceparent)

    async def _put(self, key: str, content: bytes) -> Blob:
        return Blob(store="landing", key=key, size=await put_parts(self._store, key, content))

    async def _forget(self, ref: str) -> None:
        for key in [blob.key async for blob in self._store.list(self._folder(ref))]:
            await self._store.delete(key)
        await in_thread(self._reports.forget, ref)

    def _folder(self, ref: str) -> str:
        return self._site_key.storage_key("identified", "step", ref)

    def _wake(self) -> None:
        if self._loop is not None:
            # The loop may have ended while the last associations are cut.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._news.set)


class Reporting:
    """A report whose data set is on its way in."""

    def __init__(self, taken_by: Steps, visit: Visit, kind: Kind, sop_instance: str, transfer_syntax: str) -> None:
        self._taken_by = taken_by
        self._visit = visit
        self._kind: Kind = kind
        self._sop_instance = sop_instance
        self._transfer_syntax = transfer_syntax
        self._data_set = bytearray()

    def write(self, chunk: memoryview) -> None:
        """Take the next bytes of the data set; StepRefused when they are too many."""
        if len(self._data_set) + len(chunk) > LONGEST_REPORT:
            raise StepRefused("report-too-long", RESOURCE_LIMITATION)
        self._data_set += chunk

    def commit(self) -> None:
        """Return when the report is durable; StepRefused."""
        data_set = bytes(self._data_set)
        self._taken_by.take(self._visit, self._kind, self._sop_instance, self._transfer_syntax, data_set)

    def abandon(self) -> None:
        """It will not be finished."""
        self._data_set.clear()
