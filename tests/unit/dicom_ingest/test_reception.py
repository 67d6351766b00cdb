"""Arrivals over DICOM: what is taken, what is refused, and what is told at the end."""

import pytest

from services.dicom_ingest.domain.command import C_STORE, Command, InstanceRefused
from services.dicom_ingest.domain.negotiation import COMMITMENT, VERIFICATION
from services.dicom_ingest.domain.study_scan import UNKNOWN_STUDY, StudyKey
from services.dicom_ingest.domain.visit import MOST_NAMED, Visit
from services.dicom_ingest.handlers.reception import Reception
from services.dicom_ingest.ports import SpoolRefused
from shared.identity import SiteKey
from tests.unit.dicom_ingest.data_sets import element
from tests.unit.dicom_ingest.fakes import FakeFarewells, FakeRoom, FakeSpool

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
COMMAND = Command(C_STORE, 1, CT, "1.2.3", True)
DATA = element(0x0020000D, b"UI", b"1.2.9\0") + element(0x7FE00010, b"OW", b"pixels")
KEY = SiteKey(bytes(32))


class Hall:
    """A reception with fakes, and one visit to it."""

    def __init__(self, max_instance: int = 1 << 30) -> None:
        self.spool, self.room, self.farewells = FakeSpool(), FakeRoom(), FakeFarewells()
        self.reception = Reception(
            spool=self.spool, room=self.room, farewells=self.farewells, site_key=KEY, largest=lambda _: max_instance
        )
        self.visit = Visit("CT1", "CW", "10.0.0.1")
        self.reception.arrive(self.visit)

    def store(self, *chunks: bytes, command: Command = COMMAND) -> None:
        incoming = self.reception.store(self.visit, command, CT, EXPLICIT)
        for chunk in chunks:
            incoming.write(memoryview(chunk))
        incoming.commit()


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_the_bytes_are_committed_as_they_came_under_the_study_they_name(size: int) -> None:
    hall = Hall()
    hall.store(*(DATA[at : at + size] for at in range(0, len(DATA), size)))
    (committed,) = hall.spool.committed
    assert (committed.data, committed.key) == (DATA, StudyKey("1.2.9"))
    assert (committed.arrival.sop_instance, committed.arrival.calling_ae) == ("1.2.3", "CT1")


def test_an_empty_data_set_and_one_that_nobody_understands_are_stored_too() -> None:
    hall = Hall()
    hall.store()
    hall.store(b"\xff" * 50)
    assert [(each.data, each.key) for each in hall.spool.committed] == [
        (b"", StudyKey(None)),
        (b"\xff" * 50, UNKNOWN_STUDY),
    ]


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (Command(C_STORE, 1, CT, "", True), 0xC000),
        (Command(C_STORE, 1, CT, "../../etc", True), 0xC000),
        (Command(C_STORE, 1, "1.2.840.10008.5.1.4.1.1.4", "1.2.3", True), 0xA900),
    ],
)
def test_an_instance_without_proper_uids_or_of_another_class_is_refused(command: Command, status: int) -> None:
    with pytest.raises(InstanceRefused) as refused:
        Hall().store(DATA, command=command)
    assert refused.value.status == status
    assert "etc" not in str(refused.value)


@pytest.mark.parametrize("service", [VERIFICATION, COMMITMENT])
def test_nothing_is_stored_in_a_context_of_another_service(service: str) -> None:
    hall = Hall()
    with pytest.raises(InstanceRefused, match="no-storage-class") as refused:
        hall.reception.store(hall.visit, Command(C_STORE, 1, service, "1.2.3", True), service, EXPLICIT)
    assert refused.value.status == 0x0122


def test_a_low_disk_refuses_before_anything_is_written_and_recovers_alone() -> None:
    hall = Hall()
    hall.room.is_low = True
    with pytest.raises(SpoolRefused, match="disk-low"):
        hall.store(DATA)
    hall.room.is_low = False
    hall.store(DATA)
    assert len(hall.spool.committed) == 1
    assert hall.room.brakes == 1


def test_a_large_instance_does_not_eat_the_reserve_of_the_disk() -> None:
    hall = Hall()
    incoming = hall.reception.store(hall.visit, COMMAND, CT, EXPLICIT)
    incoming.write(memoryview(DATA))
    hall.room.is_low = True
    incoming.write(memoryview(bytes(1 << 20)))
    with pytest.raises(SpoolRefused, match="disk-low"):
        for _ in range(16):
            incoming.write(memoryview(bytes(1 << 20)))


def test_the_end_of_an_endless_association_names_no_more_than_an_event_holds() -> None:
    visit = Visit("CT1", "CW", "10.0.0.1")
    for number in range(MOST_NAMED + 5):
        visit.note_stored(f"{number:032x}", f"1.2.{number}")
        visit.note_study(f"1.2.{number}")
    assert (visit.stored, len(visit.batches), len(visit.studies)) == (MOST_NAMED + 5, MOST_NAMED, MOST_NAMED)


def test_an_instance_larger_than_allowed_is_refused() -> None:
    with pytest.raises(SpoolRefused, match="instance-too-large"):
        Hall(max_instance=len(DATA) - 1).store(DATA[:10], DATA[10:])


def test_an_instance_that_is_not_finished_leaves_nothing() -> None:
    hall = Hall()
    incoming = hall.reception.store(hall.visit, COMMAND, CT, EXPLICIT)
    incoming.write(memoryview(DATA + bytes(10_000)))
    incoming.abandon()
    incoming.abandon()
    assert (len(hall.spool.abandoned), hall.spool.committed) == (1, [])


def test_the_end_of_an_association_is_told_without_a_uid() -> None:
    hall = Hall()
    hall.store(DATA)
    hall.reception.leave(hall.visit, "released")
    (ended,) = hall.farewells.kept
    assert (ended.how, ended.stored, ended.refused) == ("released", 1, 0)
    assert ended.batches == ("ab" * 16,)
    assert ended.study_refs == (KEY.study_ref("1.2.9"),)
    assert "1.2.9" not in ended.model_dump_json()
    assert hall.spool.left == [hall.visit.association_id]


def test_an_association_that_brought_nothing_is_no_news() -> None:
    hall = Hall()
    hall.reception.leave(hall.visit, "released")
    assert hall.farewells.kept == []
