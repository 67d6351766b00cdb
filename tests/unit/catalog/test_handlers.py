"""What the catalogue does with what arrives: events, searches, and the passing of time."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from contracts.events import (
    Batch,
    BatchStored,
    Blob,
    CopyDamaged,
    CopyKey,
    CopyRemoved,
    PackDeidentified,
    PackRecalled,
    StepReported,
    StudyCompleted,
)
from contracts.formats.manifest import Instance, Manifest, Source
from services.catalog.domain.identity import identity
from services.catalog.domain.lifecycle import State, Step, Study
from services.catalog.domain.steps import Reported
from services.catalog.domain.telling import Due, Word, event_of
from services.catalog.handlers.events import EventHandlers
from services.catalog.handlers.http import HttpHandlers
from services.catalog.handlers.lifecycle import LifeCycle
from shared.identity import SiteKey
from shared.messaging.cloudevent import Received
from tests.support.packs import planned
from tests.unit.catalog.fakes import FakeBacklog, FakeDocuments, FakeIndex, FakeQuestions, FakeStudies

HASH = "ab" * 32
NOW = datetime(2026, 1, 31, tzinfo=UTC)


def instance(number: int) -> Instance:
    return Instance(
        entry=f"{number:06}.dcm", length=1, crc32=0, sop_class_uid="1.2", sop_instance_uid=f"1.2.{number}",
        transfer_syntax="1.2.840.10008.1.2", dataset_offset=0, meta_sha256=HASH, dataset_sha256=HASH,
        header_sha256=HASH, header_length=0,
    )  # fmt: skip


def blob(key: str) -> Blob:
    return Blob(store="landing", key=key, size=1)


def received(data: Any) -> Received[Any]:
    return Received(id="e", data=data, time=NOW)


def handlers(index: FakeIndex, documents: FakeDocuments | None = None) -> EventHandlers:
    return EventHandlers(
        arrivals=index,
        copies=index,
        documents=documents or FakeDocuments(),
        quiet=120,
        quiet_by_source={"SLOW": 900},
    )


@pytest.mark.parametrize(
    ("source", "told", "pause"),
    [("SLOW", None, 900), ("OTHER", None, 120), (None, None, 120), ("OTHER", 300, 300), ("SLOW", 300, 900)],
)
async def test_a_batch_is_registered_with_its_headers_and_the_pause_of_its_source(
    source: str | None, told: float | None, pause: float
) -> None:
    index, made = FakeIndex(), Source(calling_ae=source) if source else None
    manifest = Manifest(form="identified", id="b", source=made, instances=(instance(1), instance(2)))
    batch = Batch(batch_id="b", manifest=blob("m"), headers=blob("h"), archive=blob("a"), instances=2, size=2)
    event = BatchStored(batch=batch, study_uid="1.2", study_ref="r", opened=NOW, closed=NOW, quiet=told)
    await handlers(index, FakeDocuments({"m": manifest})).batch_stored(received(event))
    (registered,) = index.batches
    assert (registered.quiet, registered.closed) == (pause, NOW.timestamp())
    assert [(one.instance.sop_instance_uid, one.header["00200013"]["Value"]) for one in registered.arrived] == [
        ("1.2.1", [0]),
        ("1.2.2", [1]),
    ]


async def test_entries_of_a_pack_are_those_of_its_batches_but_for_what_is_left_out() -> None:
    index = FakeIndex()
    first = Manifest(form="identified", id="a", instances=(instance(1), instance(2)))
    second = Manifest(form="identified", id="b", instances=(instance(2), instance(3)))
    batches = [
        Batch(batch_id=name, manifest=blob(name), headers=blob("h"), archive=blob("a"), instances=2, size=2)
        for name in ("first", "second")
    ]
    event = planned(batches, (), left_out=("", "1"))
    await handlers(index, FakeDocuments({"first": first, "second": second})).pack_planned(received(event))
    assert [(one.sop_instance_uid, one.entry) for _, one in index.entries["pack"]] == [
        ("1.2.1", "000001.dcm"),
        ("1.2.2", "000002.dcm"),
        ("1.2.3", "000003.dcm"),
    ]


async def test_entries_of_a_de_identified_pack_are_those_of_the_originals() -> None:
    """By the links, which stay on site: the pack itself tells no origin, and may have another order."""
    index = FakeIndex()
    manifest = Manifest(form="deidentified", id="p", instances=(instance(1), instance(2)))
    original = {"dataset_sha256": HASH, "transfer_syntax": "1.2.840.10008.1.2"}
    links = [
        {"entry": "000002.dcm", "sop_instance_uid": "9.1", **original},
        {"entry": "000001.dcm", "sop_instance_uid": "9.2", **original},
    ]
    event = PackDeidentified.model_construct(pack_id="p", manifest=blob("m"), links=blob("l"))
    await handlers(index, FakeDocuments({"m": manifest}, links)).pack_deidentified(received(event))
    assert [(key, one.sop_instance_uid) for key, one in index.entries["p"]] == [
        (identity("9.2", HASH, "1.2.840.10008.1.2"), "1.2.1"),
        (identity("9.1", HASH, "1.2.840.10008.1.2"), "1.2.2"),
    ]


async def test_a_copy_is_damaged_and_removed_when_the_event_says_so() -> None:
    """Not when it was heard: a replay would damage what was proven since."""
    index = FakeIndex()
    key = CopyKey.model_construct(sealed_id="s")
    on = handlers(index)
    await on.copy_damaged(received(CopyDamaged.model_construct(copy_key=key, found=NOW)))
    await on.copy_removed(received(CopyRemoved.model_construct(copy_key=key, removed=NOW)))
    assert index.copies == [("damaged", {"damaged": NOW.timestamp()}), ("removed", {"removed": NOW.timestamp()})]


async def test_a_pack_that_is_called_back_is_noted() -> None:
    index, event = FakeIndex(), PackRecalled.model_construct(pack_id="p")
    await handlers(index).pack_recalled(received(event))
    assert index.told == [("recalled", event)]


async def test_a_report_on_a_step_is_noted_with_what_it_names() -> None:
    index = FakeIndex()
    event = StepReported(
        step_ref="s", number=2, kind="set", state="completed", study_uids=("1.2",), study_refs=("r",), instances=1,
        report=blob("report"), references=blob("1.2.1"), received=datetime.now(UTC),
    )  # fmt: skip
    await handlers(index).step_reported(received(event))
    await handlers(index).step_reported(received(event.model_copy(update={"references": None})))
    expected = Reported("s", 2, "completed", ("1.2",), ("1.2.1",))
    assert index.told == [("reported", expected), ("reported", replace(expected, instances=None))]


def test_a_study_that_its_steps_complete_is_told_of_with_a_reason_that_old_readers_do_not_know() -> None:
    """To them there is no evidence but what they can read; the confidence is the same for all."""
    study = Study(State.RECEIVED, 3, 0, 100.0, 5.0, ordered=True, steps_done=True)
    told = event_of(Word(Due("1.2", "ref", 0, 1, study), Step.COMPLETE, 100.0, blob("summary")))
    assert isinstance(told, StudyCompleted)
    assert [one.kind for one in told.reasons] == ["steps_completed", "ordered"]
    assert [one.kind for one in told.evidence] == ["ordered"]
    assert told.confidence > 0.97


def due(uid: str, state: State = State.NEW, last_event: float = 100.0) -> Due:
    return Due(uid, f"ref-{uid}", 0, 1, Study(state, instances=2, told=0, last_event=last_event, quiet=10.0))


def life(studies: FakeStudies, backlog: FakeBacklog, documents: FakeDocuments | None = None) -> LifeCycle:
    return LifeCycle(
        studies=studies,
        documents=documents or FakeDocuments(),
        backlog=backlog,
        site_key=SiteKey(bytes(32)),
        look_every=60,
    )


async def test_what_is_due_is_said_with_a_summary_but_for_the_first_word() -> None:
    studies, documents = FakeStudies([due("1"), due("2", State.RECEIVED)]), FakeDocuments()
    await life(studies, FakeBacklog(), documents).look()
    assert [(word.due.study_uid, word.step) for word in studies.said] == [("1", Step.RECEIVE), ("2", Step.COMPLETE)]
    assert [word.summary is None for word in studies.said] == [True, False]
    assert documents.kept == [b"2"]


@pytest.mark.parametrize(("newest", "said"), [(105.0, 0), (111.0, 1)])
async def test_while_batches_wait_the_clock_is_that_of_the_events(newest: float, said: int) -> None:
    """A study whose batches stand in the queue would else be complete before they are here."""
    studies = FakeStudies([due("1", State.RECEIVED)], newest=newest)
    await life(studies, FakeBacklog(empty=False)).look()
    assert [word.now for word in studies.said] == [newest] * said


async def test_when_nothing_waits_the_clock_is_that_of_the_wall() -> None:
    studies = FakeStudies([due("1", State.RECEIVED), due("2", State.RECEIVED, last_event=time.time())])
    await life(studies, FakeBacklog()).look()
    assert [word.due.study_uid for word in studies.said] == ["1"]


async def test_whoever_lost_the_lease_says_nothing_more() -> None:
    studies, documents = FakeStudies([due(name, State.RECEIVED) for name in "123"], ours=1), FakeDocuments()
    await life(studies, FakeBacklog(), documents).look()
    assert [word.due.study_uid for word in studies.said] == ["1"]
    assert len(documents.kept) == 2


def test_a_revision_tells_what_was_added() -> None:
    study = Study(State.COMPLETED, instances=5, told=3, last_event=1.0, quiet=1.0)
    word = Word(Due("1", "r", 1, 2, study), Step.REVISE, 50.0, blob("s"))
    told = event_of(word).model_dump(include={"added", "revision", "series", "instances"})
    assert told == {"added": 2, "revision": 2, "series": 2, "instances": 5}


class Asked:
    """An HTTP client of the handlers, and what was logged as read."""

    def __init__(self, questions: FakeQuestions) -> None:
        self.logged: list[tuple[str, int]] = []
        routes = HttpHandlers(questions=questions, access=self._note).routes()
        transport = httpx.ASGITransport(Starlette(routes=routes))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://here")

    def _note(self, _request: object, *, resource: str, count: int) -> None:
        self.logged.append((resource, count))


@pytest.fixture
def questions() -> FakeQuestions:
    return FakeQuestions(answer=[{"0020000D": {"vr": "UI"}}])


@pytest.fixture
async def asked(questions: FakeQuestions) -> AsyncIterator[Asked]:
    made = Asked(questions)
    yield made
    await made.client.aclose()


async def test_a_search_answers_in_dicom_json_and_is_logged(asked: Asked, questions: FakeQuestions) -> None:
    answer = await asked.client.get("/dicom-web/studies/1.2/series", params={"Modality": "CT"})
    assert answer.headers["content-type"] == "application/dicom+json"
    assert (answer.json(), answer.headers.get_list("warning")) == (questions.answer, [])
    assert asked.logged == [("series", 1)]
    ((query, base),) = questions.asked
    assert {match.key.keyword for match in query.matches} == {"StudyInstanceUID", "Modality"}
    assert base == "http://here/dicom-web"


async def test_what_an_answer_leaves_out_is_said_in_a_warning(asked: Asked, questions: FakeQuestions) -> None:
    questions.more = True
    answer = await asked.client.get("/dicom-web/studies", params={"fuzzymatching": "true", "Nonsense": "1"})
    warnings = answer.headers.get_list("warning")
    assert [word in text for word, text in zip(("fuzzy", "ignored", "additional"), warnings, strict=True)] == [True] * 3


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("/dicom-web/studies", "application/dicom+xml", 406),
        ("/dicom-web/studies?limit=many", "*/*", 400),
        ("/api/where/1.3", "*/*", 404),
    ],
)
async def test_what_cannot_be_answered_has_a_status_of_its_own(
    asked: Asked, path: str, accept: str, status: int
) -> None:
    answer = await asked.client.get(path, headers={"accept": accept})
    assert answer.status_code == status
    assert answer.json()["error"]


async def test_instances_without_a_study_are_asked_for_by_a_hyphen(asked: Asked) -> None:
    assert (await asked.client.get("/api/studies/-/where")).json() == [{"of": None}]
    assert (await asked.client.get("/api/studies/1.2/where")).json() == [{"of": "1.2"}]
    assert asked.logged == [("instance", 1), ("instance", 1)]
