"""A worklist over a real database and port, and two modalities that ask it: dcmtk's findscu, and pynetdicom."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pynetdicom import AE
from pynetdicom.sop_class import ModalityWorklistInformationFind, Verification
from sqlalchemy import Connection, select

from services.hl7_fhir.adapters.contents import Contents
from services.hl7_fhir.adapters.dicom_port import DicomPort
from services.hl7_fhir.adapters.journal import SqlJournal
from services.hl7_fhir.adapters.profiles import Hl7apyProfiles
from services.hl7_fhir.adapters.sealing import Sealer
from services.hl7_fhir.adapters.senders import Anybody, Registry
from services.hl7_fhir.adapters.stepping import Stepping
from services.hl7_fhir.adapters.tables import resources, versions
from services.hl7_fhir.adapters.tells import TellsNobody
from services.hl7_fhir.adapters.waiting import SqlWaiting
from services.hl7_fhir.adapters.worklist_tables import steps
from services.hl7_fhir.config.worklist import WorklistSettings
from services.hl7_fhir.domain.clinical.record import Site
from services.hl7_fhir.domain.fhir.documents import Stored
from services.hl7_fhir.domain.intake.senders import Sender
from services.hl7_fhir.handlers import Mapping, Messages, Worklist
from shared.identity import SiteKey
from shared.sql import Database
from tests.support.hl7 import code_of

KEY = SiteKey(b"k" * 32)
SITE = Site(patient_issuer="SITE", order_issuer="SITE")
STEP = "ScheduledProcedureStepSequence"


class Silent:
    """An outbox that publishes nothing."""

    def add(self, connection: Connection, told: Any, *, id: str) -> None:  # noqa: A002
        """Forget it."""


class Announced(TellsNobody):
    """Remembers what the RIS is told of Study Instance UIDs."""

    def __init__(self, announced: list[tuple[str, str]]) -> None:
        self._announced = announced

    def announce(self, connection: Connection, *, order: str, study_uid: str, now: datetime) -> None:
        self._announced.append((order, study_uid))


@dataclass
class Desk:
    """HL7 messages in, worklist out; ``announced`` are the study UIDs that the RIS was told."""

    database: Database
    stepping: Stepping
    port: DicomPort
    messages: Messages
    mapping: Mapping
    announced: list[tuple[str, str]]
    registry: Registry

    async def send(self, *contents: bytes) -> None:
        """Take messages; each must be acknowledged."""
        for content in contents:
            (answer,) = await self.messages.arrived(content)
            assert code_of(answer) == "AA"
        await self.mapping.map_all()

    async def steps(self) -> list[Any]:
        """The rows, in the order of their times."""
        wanted = select(steps).order_by(steps.c.starts, steps.c.id)
        return list(await self.database.read(lambda connection: connection.execute(wanted).all()))

    async def versions(self, kind: str) -> list[Any]:
        """Every version of the resources of a type, the oldest first."""
        wanted = select(versions).where(versions.c.type == kind).order_by(versions.c.updated, versions.c.version)
        return list(await self.database.read(lambda connection: connection.execute(wanted).all()))

    def follow(self, stepping: Stepping) -> None:
        """Let messages from now on be heard by the followers of ``stepping``."""
        waiting = SqlWaiting(self.database, Silent(), self.registry, KEY, Contents(Sealer(KEY)), stepping.followers)
        self.mapping = Mapping(waiting)

    async def tasks(self) -> list[Stored]:
        """Every Task."""
        wanted = select(resources).where(resources.c.type == "Task").order_by(resources.c.id)
        found = await self.database.read(lambda connection: connection.execute(wanted).all())
        return [
            Stored(
                row.type, row.id, row.version, row.updated.replace(tzinfo=UTC), row.message_ref, json.loads(row.body)
            )
            for row in found
        ]

    async def find(self, keys: Dataset, **options: Any) -> tuple[list[int], list[Dataset]]:
        """The statuses and identifiers that pynetdicom gets."""
        return await asyncio.to_thread(find, self.port.port, keys, **options)

    async def listed(self, **keys: Any) -> list[Dataset]:
        """What is answered to a query with these keys, at the top or of the step."""
        statuses, found = await self.find(query(**keys))
        assert statuses[-1] == 0
        return found


def query(**keys: Any) -> Dataset:
    """An identifier; keys of the step by their names with ``step_`` in front."""
    top, inner = Dataset(), Dataset()
    top.PatientName, top.PatientID, top.AccessionNumber, top.StudyInstanceUID = "", "", "", ""
    inner.Modality, inner.ScheduledStationAETitle, inner.ScheduledProcedureStepStartDate = "", "", ""
    inner.ScheduledProcedureStepStartTime, inner.ScheduledProcedureStepID = "", ""
    inner.ScheduledProcedureStepStatus = ""
    for name, value in keys.items():
        setattr(inner if name.startswith("step_") else top, name.removeprefix("step_"), value)
    setattr(top, STEP, [inner])
    return top


def find(
    port: int,
    keys: Dataset,
    *,
    caller: str = "CT1",
    called: str = "CAUSEWAY",
    extended: Sequence[Any] = (),
    cancel_after: int | None = None,
    syntax: str | None = None,
) -> tuple[list[int], list[Dataset]]:
    """Ask by pynetdicom."""
    entity = AE(caller)
    entity.add_requested_context(ModalityWorklistInformationFind, syntax)
    entity.add_requested_context(Verification)
    association = entity.associate("127.0.0.1", port, ae_title=called, ext_neg=list(extended))
    assert association.is_established, "no association"
    statuses, found = [], []
    for status, identifier in association.send_c_find(keys, ModalityWorklistInformationFind, msg_id=7):
        statuses.append(int(status.Status))
        if identifier is not None:
            found.append(identifier)
        if cancel_after is not None and len(found) == cancel_after:
            association.send_c_cancel(7, None, ModalityWorklistInformationFind)
    association.release()
    return statuses, found


async def findscu(
    port: int, folder: Path, *keys: str, options: Sequence[str] = (), host: str = "127.0.0.1"
) -> list[Dataset]:
    """Ask by dcmtk; the answers as it wrote them, in their order. AssertionError with its output when it fails."""
    program = shutil.which("findscu")
    if program is None:
        pytest.skip("no findscu: install Debian's dcmtk")
    folder.mkdir()
    words = [word for key in keys for word in ("-k", key)]
    command = (program, "-W", "-X", "-aet", "CT1", "-aec", "CAUSEWAY", *options, *words, host, str(port))
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode("latin-1")
    return [dcmread(path, force=True) for path in sorted(folder.iterdir())]


@asynccontextmanager
async def worklist(url: str, *, migrate: bool = True, **settings: Any) -> AsyncIterator[Desk]:
    """A desk over the database at ``url``."""
    database = Database(url)
    if migrate:
        await database.migrate("services.hl7_fhir.migrations")
    announced: list[tuple[str, str]] = []
    told = WorklistSettings.model_validate({"worklist_port": 0, **settings})
    stepping = Stepping(told, database, SITE, KEY, Announced(announced))
    sealer, others = Sealer(KEY), Sender("", SITE)
    registry = Registry(Anybody(others), others, KEY)
    messages = Messages(registry, SqlJournal(database, sealer), Hl7apyProfiles(), KEY)
    mapping = Mapping(SqlWaiting(database, Silent(), registry, KEY, Contents(sealer), stepping.followers))
    (port,) = stepping.ports(Worklist(stepping.pages, told.worklist_most).find)
    running = asyncio.create_task(port.run())
    await port.listening.wait()
    try:
        yield Desk(database, stepping, port, messages, mapping, announced, registry)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await database.close()
