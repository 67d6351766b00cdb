"""Scheduled steps follow orders, patients, modalities and images, whatever comes first; each is a Task in FHIR."""

import io
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from sqlalchemy import Connection, insert, update

from contracts.events import StepReported
from contracts.events.common import Blob
from services.hl7_fhir.adapters.performed import SqlPerformedSteps
from services.hl7_fhir.adapters.stepping import Stepping
from services.hl7_fhir.adapters.study_tables import order_keys, study_orders
from services.hl7_fhir.adapters.tables import resources
from services.hl7_fhir.config.worklist import WorklistSettings
from shared.storage.memory import MemoryStore
from shared.storage.parts import put_parts
from tests.support.databases import Migrated
from tests.support.fhir import assert_valid
from tests.support.hl7 import adt, omi, orm
from tests.support.worklist import KEY, SITE, STEP, Announced, Desk, query, worklist

STUDY = "1.2.840.99.1"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
async def desk(request: pytest.FixtureRequest, migrated: Migrated) -> AsyncIterator[Desk]:
    async with worklist(migrated(request.param, "hl7_fhir"), migrate=False) as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
async def off(request: pytest.FixtureRequest, migrated: Migrated) -> AsyncIterator[Desk]:
    """Where orders have no steps yet."""
    async with worklist(migrated(request.param, "hl7_fhir"), migrate=False, scheduled_steps=False) as found:
        yield found


def later(control: str, hour: int = 13, **fields: str) -> bytes:
    return orm(control, control_id=f"L{control}{hour}{fields.get('orc5', '')}", time=f"202601{hour}120000", **fields)


async def state_of(desk: Desk) -> tuple[str, str, int]:
    """State of the only step, status of its Task, how many steps are listed."""
    (row,), (task,) = await desk.steps(), await desk.tasks()
    assert_valid(task.shown())
    return row.state, task.body["status"], len(await desk.listed())


def report(state: str, number: int = 1, *, step: str = "a" * 32, studies: tuple[str, ...] = (STUDY,)) -> StepReported:
    return StepReported(
        step_ref=step,
        number=number,
        kind="created" if number == 1 else "set",
        state=state,
        study_uids=studies,
        study_refs=("b" * 32,) * len(studies),
        instances=0,
        report=Blob(store="landing", key="c" * 32, size=0),
        received=NOW,
    )


@pytest.mark.parametrize(
    ("control", "fields", "expected"),
    [
        ("XO", {"orc5": "SC"}, ("SCHEDULED", "requested", 1)),
        ("CA", {}, ("CANCELLED", "cancelled", 0)),
        ("OC", {}, ("CANCELLED", "cancelled", 0)),
        ("DC", {"orc5": "DC"}, ("CANCELLED", "cancelled", 0)),
        ("OH", {}, ("HELD", "on-hold", 0)),
        ("SC", {"orc5": "HD"}, ("HELD", "on-hold", 0)),
        ("SC", {"orc5": "IP"}, ("STARTED", "in-progress", 1)),
        ("SC", {"orc5": "A"}, ("STARTED", "in-progress", 1)),
        ("SC", {"orc5": "CM"}, ("COMPLETED", "completed", 1)),  # for a while
    ],
)
async def test_what_the_ris_says_moves_the_step(
    desk: Desk, control: str, fields: dict[str, str], expected: tuple[str, str, int]
) -> None:
    await desk.send(orm(orc5="SC"))
    assert await state_of(desk) == ("SCHEDULED", "requested", 1)
    await desk.send(later(control, **fields))
    assert await state_of(desk) == expected


async def test_a_held_order_that_is_released_is_listed_again(desk: Desk) -> None:
    await desk.send(orm(), later("OH"))
    assert len(await desk.listed()) == 0
    await desk.send(later("RL", 14))
    assert await state_of(desk) == ("SCHEDULED", "requested", 1)


async def test_an_older_message_does_not_bring_back_what_was_cancelled(desk: Desk) -> None:
    await desk.send(orm(), later("CA", 14), later("XO", 13, orc5="SC"))
    assert await state_of(desk) == ("CANCELLED", "cancelled", 0)


async def test_a_change_is_shown(desk: Desk) -> None:
    await desk.send(orm(), later("XO", obr36="20260301101500", obr4="24725-5^CT Neck^LN"))
    (answer,) = await desk.listed(RequestedProcedureDescription="")
    step = answer[STEP].value[0]
    assert (step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime) == ("20260301", "101500")
    assert answer.RequestedProcedureDescription == "CT Neck"
    assert len(await desk.listed(step_ScheduledProcedureStepStartDate="20260301")) == 1


async def test_a_change_that_no_resource_shows_is_shown_all_the_same(desk: Desk) -> None:
    moved = "IPC|ACC7^HOSP|RP7|1.2.840.99.7|SPS7|MR|P1^Knee^99LOCAL|ST1|Room 1|{}"
    await desk.send(omi(ipc=moved.format("AET1")))
    await desk.send(omi("XO", control_id="I2", time="20260101130000", ipc=moved.format("AET2")))
    assert len(await desk.listed(step_ScheduledStationAETitle="AET2")) == 1
    assert len(await desk.listed(step_ScheduledStationAETitle="AET1")) == 0


async def test_an_order_that_comes_when_it_is_over_makes_no_step(desk: Desk) -> None:
    await desk.send(orm("CA"), orm("SC", control_id="2", orc2="X", obr2="X", orc3="Y", obr3="Y", orc5="CM"))
    assert await desk.steps() == []


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        (("in-progress",), "STARTED"),
        (("in-progress", "completed"), "COMPLETED"),
        (("in-progress", "discontinued"), "DISCONTINUED"),
        (("unknown",), "STARTED"),
    ],
)
async def test_a_modalitys_reports_move_the_step_in_any_order_and_more_than_once(
    desk: Desk, reports: tuple[str, ...], expected: str
) -> None:
    told = [report(state, number) for number, state in enumerate(reports, 1)]
    await desk.send(orm())
    for order in itertools.permutations(told):
        for event in (*order, *order):
            await desk.stepping.performed.report(event, "e" * 32, NOW)
        assert (await desk.steps())[0].state == expected
    assert len(await desk.listed()) == (1 if expected == "STARTED" else 0), "kept for an hour after 12:00 of a past day"


async def test_reports_and_images_that_come_before_the_order_count(desk: Desk) -> None:
    await desk.stepping.performed.report(report("in-progress"), "e" * 32, NOW)
    await desk.stepping.performed.images(STUDY, "received", "f" * 32, NOW)
    await desk.send(orm())
    assert await state_of(desk) == ("STARTED", "in-progress", 1)


async def test_images_alone_start_and_complete_a_step(desk: Desk) -> None:
    await desk.send(orm())
    await desk.stepping.performed.images(STUDY, "received", "f" * 32, NOW)
    assert (await desk.steps())[0].state == "STARTED"
    for said in ("completed", "received"):
        await desk.stepping.performed.images(STUDY, said, "f" * 32, NOW)
        assert (await desk.steps())[0].state == "COMPLETED"
    await desk.stepping.performed.images("1.2.3.4", "completed", "f" * 32, NOW)


async def test_of_several_steps_of_a_study_images_do_not_tell_which_is_done(desk: Desk) -> None:
    ipc = "\r".join(f"IPC|ACC7^HOSP|RP7|{STUDY}|SPS{n}|MR|P{n}^Knee^99L" for n in (1, 2))
    await desk.send(omi(ipc=ipc))
    await desk.stepping.performed.images(STUDY, "completed", "f" * 32, NOW)
    assert {row.state for row in await desk.steps()} == {"STARTED"}


def report_file(*step_ids: str, reason: str = "") -> bytes:
    """A report as ``dicom_ingest`` keeps it."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.3.1.2.3.3"
    data.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    data.ScheduledStepAttributesSequence = []
    for step_id in step_ids:
        item = Dataset()
        item.StudyInstanceUID, item.ScheduledProcedureStepID = STUDY, step_id
        data.ScheduledStepAttributesSequence.append(item)
    if reason:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = reason, "DCM", "Why"
        data.PerformedProcedureStepDiscontinuationReasonCodeSequence = [code]
    written = io.BytesIO()
    data.save_as(written, enforce_file_format=True)
    assert dcmread(io.BytesIO(written.getvalue()))
    return written.getvalue()


async def performed_by(desk: Desk, file: bytes, event: StepReported) -> None:
    """Take the event with ``file`` as its report."""
    store = MemoryStore()
    await put_parts(store, "c" * 32, file)
    blob = Blob(store="landing", key="c" * 32, size=len(file))
    steps: Any = desk.stepping.performed._steps
    await SqlPerformedSteps(desk.database, steps, store).report(
        event.model_copy(update={"report": blob}), "e" * 32, NOW
    )


async def test_a_report_moves_the_step_that_it_names(desk: Desk) -> None:
    ipc = "\r".join(f"IPC|ACC7^HOSP|RP7|{STUDY}|SPS{n}|MR|P{n}^Knee^99L" for n in (1, 2))
    await desk.send(omi(ipc=ipc))
    await performed_by(desk, report_file("SPS2"), report("completed"))
    assert {row.step_id: row.state for row in await desk.steps()} == {"SPS1": "SCHEDULED", "SPS2": "COMPLETED"}


async def test_a_step_that_was_chosen_by_mistake_is_still_to_be_done(desk: Desk) -> None:
    await desk.send(orm(obr20="SPS1"))
    await performed_by(desk, report_file("SPS1"), report("in-progress"))
    assert (await desk.steps())[0].state == "STARTED"
    await performed_by(desk, report_file("SPS1", reason="110514"), report("discontinued", 2))
    assert await state_of(desk) == ("SCHEDULED", "requested", 1)


async def test_a_report_that_cannot_be_read_counts_for_its_study(desk: Desk) -> None:
    await desk.send(orm())
    await performed_by(desk, b"no file" * 40, report("completed"))
    assert (await desk.steps())[0].state == "COMPLETED"


async def test_a_study_uid_is_made_once_told_and_replaced_by_that_of_the_ris(desk: Desk) -> None:
    await desk.send(orm(tail="NTE|1||x"), later("XO", obr36="20260301101500", tail="NTE|1||x"))
    (answer,) = await desk.listed()
    made = str(answer.StudyInstanceUID)
    assert made.startswith("2.25.")
    assert len(made) <= 64
    assert [uid for _, uid in desk.announced] == [made]
    await desk.send(later("XO", 15, tail=f"ZDS|{STUDY}^^Application^DICOM"))
    (answer,) = await desk.listed()
    assert answer.StudyInstanceUID == STUDY
    await desk.stepping.performed.images(made, "received", "f" * 32, NOW)
    assert (await desk.steps())[0].state == "STARTED", "images under the earlier UID still count"
    assert len(desk.announced) == 1


async def test_a_patients_new_name_is_shown(desk: Desk) -> None:
    await desk.send(orm(), adt("A08", time="20260102", pid="PID|1||P1^^^HOSP^MR||Roe^Jane||19800204|F"))
    (answer,) = await desk.listed(PatientName="Roe*", PatientBirthDate="")
    assert (answer.PatientName, answer.PatientBirthDate) == ("Roe^Jane", "19800204")
    assert await desk.listed(PatientName="Doe*") == []


async def test_a_merge_shows_the_survivor_also_in_orders_that_come_later(desk: Desk) -> None:
    merge = adt("A40", time="20260102", control_id="M", pid="PID|1||P2^^^HOSP^MR||Roe^Jane\rMRG|P1^^^HOSP^MR")
    await desk.send(orm(), adt(pid="PID|1||P2^^^HOSP^MR||Roe^Jane||19800203|F", control_id="A"), merge)
    (answer,) = await desk.listed()
    assert (answer.PatientID, str(answer.PatientName)) == ("P2", "Roe^Jane")
    await desk.send(
        orm(control_id="9", time="20260105", orc2="X^H", obr2="X^H", orc3="Y^R", obr3="Y^R", tail="NTE|1||x")
    )
    assert {answer.PatientID for answer in await desk.listed()} == {"P2"}
    assert len({task.body["for"]["reference"] for task in await desk.tasks()}) == 1
    assert await desk.listed(PatientID="P1") == []


async def test_an_accession_number_that_is_too_long_is_not_cut_and_still_finds(desk: Desk) -> None:
    number = "20260101-RADIOLOGY-0001"
    await desk.send(orm(obr18=number, obr19="R" * 40, obr20="S" * 40))
    (answer,) = await desk.listed(AccessionNumber=number, RequestedProcedureID="")
    assert answer.AccessionNumber in ("", None)
    assert len(answer.RequestedProcedureID) == 16
    assert answer.RequestedProcedureID != "R" * 16
    assert answer[STEP].value[0].ScheduledProcedureStepID != "S" * 16
    assert (await desk.steps())[0].cut == "00080050 00400009 00401001"


async def test_a_text_that_is_too_long_is_cut_and_told_by_its_tag(desk: Desk) -> None:
    await desk.send(orm(obr4=f"X^{'long ' * 30}^L", pid=f"PID|1||P1^^^HOSP||{'A' * 50}^{'B' * 50}"))
    (answer,) = await desk.listed(RequestedProcedureDescription="")
    assert len(answer.RequestedProcedureDescription) <= 64
    assert len(str(answer.PatientName)) == 64
    assert {"00100010", "00321060"} <= set((await desk.steps())[0].cut.split())


@pytest.mark.parametrize(
    ("pid", "problem"),
    [
        ("PID|1||||Doe^Jane", "patient-id-missing"),
        (f"PID|1||{'9' * 65}^^^HOSP||Doe^Jane", "patient-id-too-long"),
        ("PID|1||P1^^^HOSP", "patient-name-missing"),
    ],
)
async def test_what_no_modality_could_write_is_not_listed_but_a_task(desk: Desk, pid: str, problem: str) -> None:
    await desk.send(orm(pid=pid))
    ((row,), (task,)) = (await desk.steps(), await desk.tasks())
    assert (row.problem, row.listed, task.body["status"]) == (problem, False, "requested")
    assert await desk.listed() == []


async def test_a_step_is_listed_when_its_patient_has_got_a_name(desk: Desk) -> None:
    await desk.send(orm(pid="PID|1||P1^^^HOSP^MR"))
    await desk.send(adt("A08", time="20260102", pid="PID|1||P1^^^HOSP^MR||Doe^Jane"))
    assert len(await desk.listed()) == 1


async def test_an_unidentified_patient_is_listed_under_the_temporary_id(desk: Desk) -> None:
    await desk.send(orm(pid="PID|1||UNKNOWN^^^HOSP||Trauma^Alpha"))
    (answer,) = await desk.listed()
    assert (answer.PatientID, str(answer.PatientName)) == ("UNKNOWN", "Trauma^Alpha")


async def test_the_task_says_what_when_where_and_for_whom(desk: Desk) -> None:
    await desk.send(omi())
    (task,) = await desk.tasks()
    assert_valid(task.shown())
    body = task.body
    assert body["restriction"]["period"]["start"] == "2026-01-02T07:30:00+00:00"
    assert body["identifier"][0]["value"] == "SPS7"
    assert body["priority"] == "stat"
    assert body["code"]["coding"][0]["code"] == "P1"
    told = {each["type"]["text"]: each.get("valueString") for each in body["input"]}
    assert told["Scheduled Station AE Title"] == "AET1"
    assert told["Scheduled Procedure Step Location"] == "Room 1"
    assert body["basedOn"][0]["reference"].startswith("ServiceRequest/")


async def test_a_task_has_a_version_for_every_visible_change_and_no_other(desk: Desk) -> None:
    await desk.send(orm(), orm(control_id="again"), later("XO", obr36="20260301101500"))
    for _ in range(3):
        await desk.stepping.performed.report(report("in-progress"), "e" * 32, NOW)
    assert [task.version for task in await desk.tasks()] == [3]


async def test_what_is_done_leaves_after_its_time(tmp_path: Path) -> None:
    async with worklist(f"sqlite:///{tmp_path / 'x.db'}", worklist_keep=3600) as desk:
        await desk.send(orm())
        await desk.stepping.performed.report(report("completed"), "e" * 32, datetime.now(UTC))
        assert len(await desk.listed()) == 1
        asked = query(step_ScheduledProcedureStepStatus="COMPLETED")
        assert len((await desk.find(asked))[1]) == 1


async def test_the_sites_own_codes_mean_a_state(tmp_path: Path) -> None:
    async with worklist(f"sqlite:///{tmp_path / 'x.db'}", scheduled_states={"XO_AR": "ARRIVED"}) as desk:
        await desk.send(orm(), later("XO", orc5="AR"))
        assert await state_of(desk) == ("ARRIVED", "accepted", 1)


async def switched_on(desk: Desk, **settings: Any) -> Stepping:
    """What the next start has, with these settings."""
    told = WorklistSettings.model_validate(settings)
    stepping = Stepping(told, desk.database, SITE, KEY, Announced(desk.announced))
    for late in stepping.late:
        await late.run(at_once=2)
    return stepping


def order_number(number: int, control: str = "NW", **fields: str) -> bytes:
    pid = f"PID|1||P{number}^^^HOSP^MR||Doe^Jane{number}"
    numbers = {"orc2": f"PL{number}", "obr2": f"PL{number}", "orc3": f"FI{number}", "obr3": f"FI{number}"}
    control_id = f"{control}{number}{fields.get('orc5', '')}"
    return orm(control, control_id=control_id, pid=pid, obr18=f"ACC{number}", tail="", **numbers, **fields)


async def test_orders_that_came_while_steps_were_off_have_them_after_the_next_start(off: Desk) -> None:
    await off.send(*(order_number(number) for number in range(5)))
    await off.send(order_number(1, "CA"), order_number(2, "SC", orc5="CM"), adt("A08", control_id="n", pid=RENAMED))
    assert (await off.steps(), off.announced) == ([], [])
    (first, *_) = await off.versions("ServiceRequest")
    await switched_on(off)
    rows = await off.steps()
    assert [(row.accession, row.state) for row in sorted(rows, key=lambda row: row.accession)] == [
        ("ACC0", "SCHEDULED"),
        ("ACC3", "SCHEDULED"),
        ("ACC4", "SCHEDULED"),
    ]
    assert len(off.announced) == len(await off.tasks()) == 3
    assert min(row.created for row in rows) == first.updated, "a step without a time is for when its order came"
    assert [str(each.PatientName) for each in await off.listed(PatientID="P0")] == ["Roe^Jane"]


RENAMED = "PID|1||P0^^^HOSP^MR||Roe^Jane"


async def test_a_further_start_changes_nothing_and_messages_go_on_from_there(off: Desk) -> None:
    await off.send(order_number(0))
    stepping = await switched_on(off)
    before = await off.tasks()
    await switched_on(off)
    assert (await off.tasks(), len(off.announced)) == (before, 1)
    off.follow(stepping)
    await off.send(order_number(0, "CA"))
    assert [row.state for row in await off.steps()] == ["CANCELLED"]


async def test_an_order_whose_images_came_under_a_uid_of_the_modality_gets_no_step_later(off: Desk) -> None:
    """By accession number a study is tied to it; a step would be for another one, which nobody takes any more."""
    await off.send(*(order_number(number) for number in range(3)))
    ids = [row.id for row in await off.versions("ServiceRequest")]

    def tie(connection: Connection) -> None:
        for at, (order_id, study_uid) in enumerate(zip(ids[:2], (None, STUDY), strict=True)):
            key = {"id": order_id, "patient": "p", "study_uid": study_uid, "status": "active"}
            connection.execute(insert(order_keys).values(key))
            connection.execute(insert(study_orders).values(study=f"s{at}", order_id=order_id))

    await off.database.run(tie)
    await switched_on(off)
    assert {row.order_id for row in await off.steps()} == set(ids[1:])
    assert {order_id for order_id, _ in off.announced} == set(ids[1:])


async def test_what_is_older_than_the_site_wants_gets_no_step(off: Desk) -> None:
    await off.send(order_number(0))
    old = update(resources).values(updated=datetime.now(UTC) - timedelta(days=8))
    await off.database.run(lambda connection: connection.execute(old))
    await switched_on(off, scheduled_steps_days=7)
    assert await off.steps() == []
    await switched_on(off, scheduled_steps_days=9)
    assert len(await off.steps()) == 1


async def test_steps_that_are_off_stay_off(off: Desk) -> None:
    await off.send(order_number(0))
    await switched_on(off, scheduled_steps=False)
    assert await off.steps() == []
