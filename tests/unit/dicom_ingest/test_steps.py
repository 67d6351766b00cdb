"""Procedure steps without a network: what reports say, what may follow, and files that survive."""

import asyncio
import os
import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pynetdicom.dsutils import encode

from contracts.events import Event, StepReported
from services.dicom_ingest.adapters.step_files import StepFiles
from services.dicom_ingest.domain import step
from services.dicom_ingest.domain.command import N_ACTION, N_CREATE, N_SET, Command, InstanceRefused, respond
from services.dicom_ingest.domain.negotiation import (
    ACCEPTED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    STEPS,
    Proposal,
    decide,
)
from services.dicom_ingest.domain.step import Said, Step, StepRefused, StepRules
from services.dicom_ingest.domain.step_report import Report, as_file, decode, references
from services.dicom_ingest.domain.step_report import encode as encoded_report
from services.dicom_ingest.domain.visit import Visit
from services.dicom_ingest.handlers.steps import Steps
from shared.errors import RetryLater
from shared.identity import SiteKey
from shared.storage import MemoryStore

KEY = SiteKey(bytes(32))
SYNTAXES = {IMPLICIT_LITTLE: (True, True), EXPLICIT_LITTLE: (False, True), EXPLICIT_BIG: (False, False)}


def data_set(syntax: str = EXPLICIT_LITTLE, **attributes: Any) -> bytes:
    """A report's data set."""
    said = Dataset()
    for name, value in attributes.items():
        setattr(said, name, value)
    made = encode(said, *SYNTAXES[syntax])
    assert made is not None
    return made


def begun(**others: Any) -> dict[str, Any]:
    """What a step has from its beginning."""
    scheduled = Dataset()
    scheduled.StudyInstanceUID = "1.2.3"
    return {
        "PerformedProcedureStepStatus": "IN PROGRESS",
        "ScheduledStepAttributesSequence": [scheduled],
        "PerformedProcedureStepID": "P",
        "PerformedStationAETitle": "CT1",
        "PerformedProcedureStepStartDate": "20260131",
        "PerformedProcedureStepStartTime": "10",
        "Modality": "CT",
        **others,
    }


def series(*uids: str, others: tuple[str, ...] = ()) -> Dataset:
    """A series that was made."""
    made = Dataset()
    made.SeriesInstanceUID = "1.5"
    for name, some in (("ReferencedImageSequence", uids), ("ReferencedNonImageCompositeSOPInstanceSequence", others)):
        items = [Dataset() for _ in some]
        for item, uid in zip(items, some, strict=True):
            item.ReferencedSOPInstanceUID = uid
        setattr(made, name, items)
    return made


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_report_says_status_studies_and_what_was_made(syntax: str) -> None:
    sequences = [series("1.1", "1.2", others=("1.3",)), series("1.2", "1.4")]
    said = step.read(data_set(syntax, **begun(PerformedSeriesSequence=sequences)), syntax)
    assert said is not None
    assert (said.status, said.studies, said.instances) == ("IN PROGRESS", ("1.2.3",), ("1.1", "1.2", "1.3", "1.4"))
    nothing = step.read(data_set(syntax, PatientID="X"), syntax)
    assert nothing == Said()


@pytest.mark.filterwarnings("error")
def test_what_is_no_uid_is_nowhere_named_not_even_in_a_warning() -> None:
    made = data_set(PerformedSeriesSequence=[series("1.1", "1.2.33333333")])
    said = step.read(made.replace(b"1.2.33333333", b"MUELLER^HANS"), EXPLICIT_LITTLE)
    assert said is not None and said.instances == ("1.1",)


@given(st.binary(max_size=300))
def test_whatever_comes_is_read_or_not_but_never_an_error(data: bytes) -> None:
    for syntax in SYNTAXES:
        said = step.read(data, syntax)
        assert said is None or set(said.studies) <= {
            uid for uid in said.studies if set(uid) <= set("0123456789.-abcdefABCDEF")
        }


@given(cut=st.integers(0, 400), flip=st.integers(0, 400), value=st.integers(0, 255))
def test_a_damaged_report_is_read_or_not_but_never_an_error(cut: int, flip: int, value: int) -> None:
    whole = bytearray(data_set(**begun(PerformedSeriesSequence=[series("1.1", "1.2")])))
    whole[flip % len(whole)] = value
    step.read(bytes(whole[: max(8, cut)]), EXPLICIT_LITTLE)
    step.read(bytes(whole), EXPLICIT_LITTLE)


def test_more_items_than_any_step_has_are_not_read() -> None:
    item = b"\xfe\xff\x00\xe0" + bytes(4)
    many = struct.pack("<HH2sHI", 0x0040, 0x0340, b"SQ", 0, len(item) * (step.MOST_ITEMS + 1))
    assert step.read(many + item * (step.MOST_ITEMS + 1), EXPLICIT_LITTLE) is None


def test_more_elements_than_any_step_has_are_not_read_and_as_many_instances_as_one_may_have_are() -> None:
    noise = b"".join(struct.pack("<HHI", 0x0011 + 2 * (n // 60_000), n % 60_000, 0) for n in range(400_000))
    item = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(noise)) + noise
    report = struct.pack("<HHI", 0x0040, 0x0340, len(item)) + item
    assert len(report) < step.LONGEST_REPORT and step.read(report, IMPLICIT_LITTLE) is None
    uids = [f"1.2.{number}" for number in range(20_000)]
    said = step.read(data_set(PerformedSeriesSequence=[series(*uids)]), EXPLICIT_LITTLE)
    assert said is not None and said.instances == tuple(uids)


def test_items_nested_without_end_are_no_error() -> None:
    deep = b""
    for _ in range(5000):
        deep = struct.pack("<HHI", 0x0040, 0x0340, 0xFFFFFFFF) + b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + deep
    assert step.read(deep, IMPLICIT_LITTLE) is None


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (Command(N_CREATE, 1, STEPS, "no name", True), 0x0117),
        (Command(N_SET, 1, STEPS, "", True), 0x0117),
        (Command(N_SET, 1, "1.2", "1.2", True), 0x0118),
        (Command(N_ACTION, 1, STEPS, "1.2", True), 0x0211),
    ],
)
def test_what_is_no_report_has_a_status_of_its_own(command: Command, status: int) -> None:
    with pytest.raises(InstanceRefused) as refused:
        step.kind_of(command, STEPS)
    assert refused.value.status == status
    with pytest.raises(InstanceRefused) as refused:
        step.kind_of(Command(N_CREATE, 1, STEPS, "1.2", True), "1.2.840.10008.5.1.4.1.1.2")
    assert refused.value.status == 0x0211


def test_an_instance_without_a_name_gets_one_and_no_other_command_does() -> None:
    assert step.named(Command(N_CREATE, 1, STEPS, "", True)).sop_instance.startswith("2.25.")
    for command in (
        Command(N_CREATE, 1, STEPS, "1.2", True),
        Command(N_CREATE, 1, "1.2", "", True),
        Command(N_SET, 1, STEPS, "", True),
    ):
        assert step.named(command) is command


def test_every_attribute_that_a_step_begins_with_is_asked_for() -> None:
    for name in begun():
        without = {key: value for key, value in begun().items() if key != name}
        assert refusal(None, "created", without) == 0x0120, name
        empty = [] if isinstance(begun()[name], list) else ""
        assert refusal(None, "created", begun(**{name: empty})) == 0x0121, name
    assert refusal(None, "created", begun()) is None


def refusal(known: Step | None, kind: Any, attributes: dict[str, Any]) -> int | None:
    """The status with which our own steps refuse a report."""
    try:
        step.follow(known, kind, step.read(data_set(**attributes), EXPLICIT_LITTLE), "own")
    except StepRefused as refused:
        return refused.status
    return None


def test_what_was_told_before_need_not_be_told_again_and_may_be_taken_back() -> None:
    end = {"PerformedProcedureStepEndDate": "20260131", "PerformedProcedureStepEndTime": "11"}
    made = {"PerformedSeriesSequence": [series("1.1")]}
    first = step.follow(None, "created", step.read(data_set(**begun()), EXPLICIT_LITTLE), "own")
    told = step.follow(first, "set", step.read(data_set(**end, **made), EXPLICIT_LITTLE), "own")
    assert refusal(first, "set", {"PerformedProcedureStepStatus": "COMPLETED"}) == 0x0120
    assert refusal(told, "set", {"PerformedProcedureStepStatus": "COMPLETED"}) is None
    assert refusal(told, "set", {"PerformedProcedureStepStatus": "COMPLETED", "PerformedSeriesSequence": []}) == 0x0120
    last = step.follow(told, "set", Said(status="COMPLETED"), "own")
    assert (last.state, last.number, last.studies, last.instances) == ("completed", 3, ("1.2.3",), ("1.1",))


@given(
    st.lists(st.tuples(st.sampled_from(["created", "set"]), st.sampled_from([None, *step._STATES, "X"]), st.booleans()))
)
def test_relayed_reports_are_counted_and_never_refused(reports: list[tuple[Any, str | None, bool]]) -> None:
    known: Step | None = None
    for number, (kind, status, is_read) in enumerate(reports, start=1):
        known = step.follow(known, kind, Said(status=status) if is_read else None, "relay")
        assert known.number == number
        if is_read and status in step._STATES:
            assert known.state == step._STATES[status]


def test_the_answer_to_a_step_that_has_ended_says_why() -> None:
    encoded = respond(Command(N_SET, 1, STEPS, "1.2", True), 0x0110, step.ENDED_COMMENT, step.ENDED)
    from pynetdicom.dsutils import decode as read

    answer = read(BytesIO(encoded), True, True)
    assert (answer.Status, answer.ErrorID, answer.ErrorComment) == (0x0110, 0xA710, step.ENDED_COMMENT)
    assert "ErrorID" not in read(BytesIO(respond(Command(N_SET, 1, STEPS, "1.2", True), 0x0110)), True, True)


def test_steps_are_offered_only_where_they_are_and_never_deflated() -> None:
    syntaxes = ("1.2.840.10008.1.2.1.99", IMPLICIT_LITTLE)
    assert decide(Proposal(1, STEPS, syntaxes)).result != ACCEPTED
    decision = decide(Proposal(1, STEPS, syntaxes), services={STEPS})
    assert (decision.result, decision.transfer_syntax) == (ACCEPTED, IMPLICIT_LITTLE)
    assert decide(Proposal(1, STEPS, syntaxes[:1]), services={STEPS}).result != ACCEPTED


def report(number: int, ref: str = "a" * 32, **others: Any) -> Report:
    """A report as it is kept."""
    values = {
        "step_ref": ref,
        "kind": "set",
        "step": Step("in-progress", number, ("1.2",), ("1.3",), (0x00400250,)),
        "received": datetime.now(UTC),
        "traceparent": None,
        "instances": ("1.3",),
        "file": as_file("1.2", IMPLICIT_LITTLE, b"data\n%d" % number),
    }
    return Report(**(values | others))


@pytest.fixture
def files(tmp_path: Path) -> StepFiles:
    return StepFiles(tmp_path)


def test_a_report_is_read_as_it_was_written() -> None:
    for one in (report(1), report(2, instances=None, traceparent="00-x")):
        assert decode(encoded_report(one)) == one
    assert references(report(1, instances=None)) is None


@pytest.mark.parametrize(
    "content", [b"", b"{}\n", b"[]\nx", b'{"step_ref": 1}\n', b"\xff\xfe", encoded_report(report(1))[:40]]
)
def test_a_file_that_is_no_report_is_put_aside_and_holds_up_no_other(files: StepFiles, content: bytes) -> None:
    with files.turn():
        files.keep(report(1))
    (files.folder / ("b" * 32 + "-00000001-x.report")).write_bytes(content)
    assert files.waiting() == [files.waiting()[0]] and files.waiting()[0].step_ref == "a" * 32
    assert [path.suffix for path in files.folder.glob("b*")] == [".damaged"]
    (files.folder / ("c" * 32 + ".step")).write_bytes(content)
    assert files.known("c" * 32) is None
    assert files.known("a" * 32) == report(1).step


def test_a_step_is_known_before_and_after_its_reports_are_told(files: StepFiles) -> None:
    first, second = report(1), report(2)
    assert files.known(first.step_ref) is None
    for one in (first, second):
        with files.turn():
            files.keep(one)
        assert files.known(one.step_ref) == one.step
    assert files.waiting() == [first, second]
    files.told(first)
    assert (files.known(first.step_ref), files.waiting()) == (second.step, [second])
    files.told(second)
    assert (files.known(first.step_ref), files.waiting()) == (second.step, [])
    assert StepFiles(files.folder.parent).known(first.step_ref) == second.step, "of another process"
    assert files.old(60) == []
    path = files.folder / f"{first.step_ref}.step"
    os.utime(path, (time.time() - 100,) * 2)
    assert files.old(60) == [first.step_ref]
    files.forget(first.step_ref)
    assert files.known(first.step_ref) is None


def test_one_process_tells_at_a_time(files: StepFiles) -> None:
    other = StepFiles(files.folder.parent)
    with files.telling() as ours, other.telling() as theirs:
        assert (ours, theirs) == (True, False)
    with other.telling() as theirs:
        assert theirs


class Bus:
    """A stream that is away for a while."""

    def __init__(self, away: int = 0) -> None:
        self.away, self.heard = away, list[tuple[str, StepReported]]()

    async def publish(self, event: Event, *, id: str, traceparent: str | None = None) -> int:  # noqa: A002
        if self.away:
            self.away -= 1
            raise RetryLater("bus-away")
        assert isinstance(event, StepReported)
        self.heard.append((id, event))
        return len(self.heard)


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("services.dicom_ingest.handlers.steps.LOOK_EVERY", 0.01)
    return


async def test_reports_are_told_again_until_the_stream_has_them_and_with_the_same_ids(
    files: StepFiles, clean: None
) -> None:
    store, bus = MemoryStore(), Bus(away=2)
    steps = Steps(files, StepRules("own", 3600), store=store, bus=bus, site_key=KEY)
    visit = Visit("CT1", "US", "127.0.0.1")
    steps.take(visit, "created", "1.2.9", EXPLICIT_LITTLE, data_set(**begun()))
    with pytest.raises(StepRefused):
        steps.take(visit, "created", "1.2.9", EXPLICIT_LITTLE, data_set(**begun()))
    made = data_set(PerformedSeriesSequence=[series("1.1")])
    steps.take(visit, "set", "1.2.9", EXPLICIT_LITTLE, made)
    (first, second) = files.waiting()
    running = asyncio.create_task(steps.run())
    await until(lambda: len(bus.heard) == 2)
    await until(lambda: not files.waiting())
    assert [event.number for _, event in bus.heard] == [1, 2]
    files.keep(first)
    files.keep(second)
    await until(lambda: len(bus.heard) == 4)
    running.cancel()
    assert bus.heard[:2] == bus.heard[2:], "as after a kill between telling and noting it"
    event = bus.heard[1][1]
    assert (await store.get(f"{event.report.key}/0001")).endswith(made)
    assert event.references is not None and b"1.1" in await store.get(f"{event.references.key}/0001")


async def test_a_disk_that_refuses_is_told_to_the_modality(tmp_path: Path) -> None:
    files = StepFiles(tmp_path)
    (tmp_path / "steps").write_text("no folder")
    steps = Steps(files, StepRules("relay", 3600), store=MemoryStore(), bus=Bus(), site_key=KEY)
    with pytest.raises(StepRefused) as refused:
        steps.take(Visit("CT1", "US", "127.0.0.1"), "set", "1.2.9", EXPLICIT_LITTLE, b"")
    assert (refused.value.status, refused.value.reason) == (0x0213, "disk-refuses")


async def until(reached: Any, timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while not reached():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_reports_of_two_spools_under_one_number_are_two() -> None:
    one, other = report(1), replace(report(1), file=b"other")
    assert one.name != other.name
