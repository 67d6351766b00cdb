"""Storage commitment: what is read, what is written, what lies on the disk, and who is told when."""

import os
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.filereader import read_dataset
from pynetdicom.dsutils import encode as reference_encode

from contracts.events import CommitmentDecided, CommitmentRequested, Outcome
from services.dicom_ingest.adapters.commitment_files import CommitmentFiles
from services.dicom_ingest.adapters.commitment_line import Line
from services.dicom_ingest.domain import commitment
from services.dicom_ingest.domain.command import N_ACTION, Command, parse
from services.dicom_ingest.domain.commitment import Asked, RequestRefused
from services.dicom_ingest.domain.negotiation import COMMITMENT, EXPLICIT_BIG, PLAIN
from services.dicom_ingest.domain.visit import Visit
from services.dicom_ingest.handlers.commitment import Commitment
from services.dicom_ingest.ports.commitment import NotReported
from shared.identity import SiteKey

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
SITE_KEY = SiteKey(bytes(range(32)))
DEEP = b"\x08\x00\x99\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
LITTLE = "1.2.840.10008.1.2.1"


def action(*pairs: tuple[str, str], transaction: str = "1.2.9") -> Dataset:
    asked = Dataset()
    asked.TransactionUID = transaction
    asked.ReferencedSOPSequence = []
    for sop_class, uid in pairs:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        asked.ReferencedSOPSequence.append(item)
    return asked


def encoded(data_set: Dataset, syntax: str = LITTLE) -> bytes:
    value = reference_encode(data_set, syntax == "1.2.840.10008.1.2", syntax != EXPLICIT_BIG)
    assert value is not None
    return value


def request(asked: Asked, ae: str = "CT1") -> CommitmentRequested:
    return commitment.requested(asked, calling_ae=ae, called_ae="CAUSEWAY", site_key=SITE_KEY, now=NOW)


def decision(commitment_id: str = "c" * 32, reason: int | None = None) -> CommitmentDecided:
    return CommitmentDecided(
        commitment_id=commitment_id,
        transaction_uid="1.2.9",
        calling_ae="CT1",
        called_ae="CAUSEWAY",
        outcomes=(
            Outcome(sop_class_uid=CT, reason=None, sop_instance_uids=("1.2.3",)),
            *([Outcome(sop_class_uid=MR, reason=reason, sop_instance_uids=("1.2.4",))] if reason else []),
        ),
        requested=NOW,
        decided=NOW,
    )


@pytest.mark.parametrize("syntax", PLAIN)
def test_a_request_is_read_in_every_syntax_that_is_accepted_each_instance_once(syntax: str) -> None:
    asked = commitment.read(encoded(action((CT, "1.2.3"), (MR, "1.2.4"), (CT, "1.2.3")), syntax), syntax)
    assert asked == Asked("1.2.9", ((CT, "1.2.3"), (MR, "1.2.4")))


@pytest.mark.parametrize(
    ("data_set", "status"),
    [
        pytest.param(b"", 0x0115, id="nothing"),
        pytest.param(b"\x08\x00\x95\x11UI\xff\xff1.2", 0x0115, id="cut short"),
        pytest.param(encoded(action((CT, "1.2.3"), transaction="")), 0x0115, id="no transaction"),
        pytest.param(encoded(action((CT, "1.2.3")))[:-6], 0x0115, id="cut in an item"),
        pytest.param(encoded(action()), 0x0115, id="no instance"),
        pytest.param(encoded(action((CT, ""))), 0x0115, id="an instance without a UID"),
        pytest.param(encoded(action((CT, "1.2.3"))).replace(b"1.2.3\0", b"DOE^JN"), 0x0115, id="a name for a UID"),
        pytest.param(b"\xfe\xff\x00\xe0\0\0\0\0" * 20_001, 0x0213, id="a flood of items"),
        pytest.param(
            b"\x08\x00\x99\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 5000, 0x0115, id="deep"
        ),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_is_no_request_is_refused_and_none_of_it_is_told(data_set: bytes, status: int) -> None:
    with pytest.raises(RequestRefused) as refused:
        commitment.read(data_set, LITTLE)
    assert refused.value.status == status
    assert "DOE" not in str(refused.value)


def test_more_instances_than_an_event_carries_are_refused() -> None:
    one = encoded(action((CT, "1.2.10000")))
    start = one.index(b"\xfe\xff\x00\xe0")
    items = [
        one[start:].replace(b"10000", b"%05d" % (10_000 + number)) for number in range(commitment.MOST_REFERENCES + 1)
    ]
    head = one[: start - 4] + struct.pack("<I", sum(map(len, items)))
    assert len(commitment.read(one[: start - 4] + struct.pack("<I", len(items[0])) + items[0], LITTLE).references) == 1
    with pytest.raises(RequestRefused) as refused:
        commitment.read(head + b"".join(items), LITTLE)
    assert refused.value.status == 0x0213


@pytest.mark.parametrize("syntax", PLAIN)
def test_a_request_of_ten_thousand_instances_is_read(syntax: str) -> None:
    named = [(CT, f"{'1.' * 29}{number:06d}") for number in range(100_000, 110_000)]
    assert commitment.read(encoded(action(*named), syntax), syntax).references == tuple(named)


def test_a_request_of_hundreds_of_thousands_of_elements_is_not_read() -> None:
    """It would take seconds and a hundred megabytes of those who serve everybody."""
    noise = b"".join(struct.pack("<HHI", 0x0011 + 2 * (n // 60_000), n % 60_000, 0) for n in range(400_000))
    one = encoded(action((CT, "1.2.3")), "1.2.840.10008.1.2")
    start = one.index(b"\xfe\xff\x00\xe0")
    item = one[start + 8 :] + noise
    long = (
        one[: start - 4]
        + struct.pack("<I", len(item) + 8)
        + one[start : start + 4]
        + struct.pack("<I", len(item))
        + item
    )
    assert len(long) < commitment.LONGEST_REQUEST
    with pytest.raises(RequestRefused, match="unreadable-request"):
        commitment.read(long, "1.2.840.10008.1.2")


def test_the_largest_request_fits_into_a_message() -> None:
    """1 MiB, were no larger one set; UIDs are at most 64 characters long (PS3.5 section 9.1)."""
    longest = tuple((CT, f"{'1.' * 29}{number:06d}") for number in range(100_000, 110_000))
    assert {len(uid) for _, uid in longest} == {64}
    assert len(request(Asked("1.2.9", longest)).model_dump_json()) < 1024 * 1024


def test_the_same_request_has_the_same_id_and_every_other_another() -> None:
    same = [Asked("1.2.9", ((CT, "1"), (MR, "2"))), Asked("1.2.9", ((MR, "2"), (CT, "1")))]
    others = [Asked("1.2.9", ((CT, "1"),)), Asked("1.2.8", same[0].references), Asked("1.2.9", ((CT, "2"), (MR, "1")))]
    assert len({request(each).commitment_id for each in same}) == 1
    assert len({request(each).commitment_id for each in (same[0], *others)}) == 4
    assert request(same[0], "CT2").commitment_id != request(same[0]).commitment_id


def test_a_request_says_which_classes_are_stored_at_all() -> None:
    told = request(Asked("1.2.9", ((CT, "1"), ("1.2.840.10008.5.1.4.1.2.1.1", "2"))))
    assert [(each.sop_class_uid, each.stored) for each in told.referenced] == [
        (CT, True),
        ("1.2.840.10008.5.1.4.1.2.1.1", False),
    ]


@pytest.mark.parametrize("syntax", PLAIN)
def test_a_report_says_what_is_committed_and_what_is_not(syntax: str) -> None:
    told = commitment.information(decision(reason=0x0112))
    value = commitment.encode(told, syntax)
    assert value == encoded(told, syntax)
    read = read_dataset(BytesIO(value), syntax == "1.2.840.10008.1.2", syntax != EXPLICIT_BIG)
    assert [each.ReferencedSOPInstanceUID for each in read.ReferencedSOPSequence] == ["1.2.3"]
    assert [(each.ReferencedSOPInstanceUID, each.FailureReason) for each in read.FailedSOPSequence] == [
        ("1.2.4", 0x0112)
    ]
    assert commitment.event_type(decision(reason=0x0112)) == 2
    assert commitment.event_type(decision()) == 1
    assert "FailedSOPSequence" not in commitment.information(decision())


def test_call_backs_are_read_from_a_setting() -> None:
    found = commitment.read_callbacks("CT1=ct1.example:104, MR1=[fd00::2]:11112")
    assert (found["CT1"].host, found["CT1"].port, found["CT1"].ae_title) == ("ct1.example", 104, "CT1")
    assert (found["MR1"].host, found["MR1"].port) == ("fd00::2", 11112)
    for wrong in ("CT1", "CT1=host", "CT1=:104", "CT1=host:port"):
        with pytest.raises(ValueError, match="AE=host:port"):
            commitment.read_callbacks(wrong)


def test_pauses_double_up_to_the_longest() -> None:
    assert [commitment.delay(attempt, 2, 60) for attempt in (1, 2, 3, 6, 500)] == [2, 4, 8, 60, 60]


def test_a_request_lies_on_the_disk_until_the_bus_has_it_and_a_decision_until_the_peer_has(tmp_path: Path) -> None:
    asked, here, beside = request(Asked("1.2.9", ((CT, "1"),))), CommitmentFiles(tmp_path), CommitmentFiles(tmp_path)
    here.keep(asked, "trace")
    here.keep(asked, "trace")
    assert beside.asked() == [(asked, "trace")]
    beside.told(asked.commitment_id)
    assert here.asked() == []
    told = decision(asked.commitment_id)
    here.decide(told)
    assert beside.decided() == [asked.commitment_id]
    with beside.hold(asked.commitment_id) as held:
        assert held == told
        with here.hold(asked.commitment_id) as twice:
            assert twice is None, "another is at it"
        beside.reported(asked.commitment_id)
    with here.hold(asked.commitment_id) as late:
        assert late is None
    here.decide(told)
    assert here.decided() == [], "a decision that comes again is not reported again"
    here.keep(asked, None)
    assert (here.asked(), here.decided()) == ([], [asked.commitment_id]), "but a request that comes again is"
    with here.hold(asked.commitment_id) as again:
        assert again is not None and again.decided > told.decided, "and tried for as long as a new one"
        assert again == told.model_copy(update={"decided": again.decided})


def test_what_was_reported_is_forgotten_some_day_and_what_was_given_up_is_not(tmp_path: Path) -> None:
    files = CommitmentFiles(tmp_path)
    for name in ("a" * 32, "b" * 32):
        files.decide(decision(name))
    files.reported("a" * 32)
    files.give_up("b" * 32)
    files.forget(60)
    assert len(list(files.folder.glob("*.reported"))) == 1
    for path in files.folder.iterdir():
        os.utime(path, (1, 1))
    files.forget(60)
    assert [path.suffix for path in files.folder.iterdir()] == [".undelivered"]


def test_a_damaged_file_holds_up_no_other(tmp_path: Path) -> None:
    files = CommitmentFiles(tmp_path)
    asked = request(Asked("1.2.9", ((CT, "1"),)))
    files.keep(asked, None)
    (files.folder / "0.asked").write_text("\n{")
    (files.folder / "1.decided").write_text("{")
    assert files.asked() == [(asked, None)]
    with files.hold("1") as held:
        assert held is None
    assert files.decided() == []
    assert len(list(files.folder.glob("*.damaged"))) == 2


def test_a_line_gives_the_answer_to_its_own_report_and_tells_when_it_is_over() -> None:
    line = Line(5, LITTLE, patience=5)
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(line.report, decision())
        while not (taken := line.take()):
            threading.Event().wait(0.001)
        (report,) = taken
        line.answered(report.message_id + 1, 0x0110)
        assert not waiting.done(), "that was another's"
        line.answered(report.message_id, 0x0000)
        assert waiting.result(5) == 0
        waiting = other.submit(line.report, decision())
        while not line.take():
            threading.Event().wait(0.001)
        line.close()
        with pytest.raises(NotReported, match="association-over"):
            waiting.result(5)
    with pytest.raises(NotReported):
        line.report(decision())


def test_a_line_does_not_wait_for_ever() -> None:
    with pytest.raises(NotReported, match="peer-does-not-answer"):
        Line(5, LITTLE, patience=0.01).report(decision())


def test_reports_are_cut_into_what_the_peer_takes() -> None:
    line = Line(5, LITTLE, patience=0.01)
    with pytest.raises(NotReported):
        line.report(decision())
    sent = list(line.pdus(64))
    assert max(len(pdu) for pdu in sent) == 6 + 64
    assert [pdu[11] for pdu in sent][-1] == 2, "the last is the end of a data set"
    assert sum(pdu[11] == 3 for pdu in sent) == 1, "one is the end of a command"


def test_an_n_action_and_a_response_are_read() -> None:
    elements = [(0x0003, COMMITMENT.encode() + b"\0"), (0x0100, b"\x30\x01"), (0x0110, b"\x07\0"), (0x0800, b"\0\0")]
    elements += [(0x1001, b"1.2.840.10008.1.20.1.1"), (0x1008, b"\x01\0")]
    command = parse(
        b"".join(b"\0\0" + tag.to_bytes(2, "little") + len(v).to_bytes(4, "little") + v for tag, v in elements)
    )
    assert command == Command(N_ACTION, 7, COMMITMENT, "1.2.840.10008.1.20.1.1", True, action=1)
    assert not command.is_response
    commitment.check(command, COMMITMENT)
    with pytest.raises(RequestRefused):
        commitment.check(command, CT)


class FullDisk(CommitmentFiles):
    def keep(self, request: CommitmentRequested, traceparent: str | None) -> None:
        raise OSError(28, "no space")


@pytest.mark.parametrize("size", [10, commitment.LONGEST_REQUEST + 1])
def test_a_full_disk_and_an_endless_request_are_resource_limitations(tmp_path: Path, size: int) -> None:
    desk = Commitment(requests=FullDisk(tmp_path), site_key=SITE_KEY, remembered=lambda peer: None)
    command = Command(N_ACTION, 1, COMMITMENT, commitment.WELL_KNOWN_INSTANCE, True, action=1)
    visit = Visit("CT1", "CAUSEWAY", "::1")
    asking = desk.begin(visit, command, COMMITMENT, LITTLE, Line(1, LITTLE))
    with pytest.raises(RequestRefused) as refused:
        asking.write(memoryview(encoded(action((CT, "1.2.3"))) if size == 10 else bytes(size)))
        asking.commit()
    assert refused.value.status == 0x0213
