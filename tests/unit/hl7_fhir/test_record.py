"""Field by field: nothing that is newer is overwritten, and what is not said is not forgotten."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.hl7_fhir.domain.clinical.record import Fields, Known, Record, dump, fields_of, load, merge
from services.hl7_fhir.domain.messages.message import read

Said = tuple[Fields, datetime]

EARLY = datetime(2026, 1, 1, tzinfo=UTC)
LATE = EARLY + timedelta(hours=1)
JANE, JOAN = (((("Jane",),),)), (((("Joan",),),))


def test_a_later_message_overwrites_and_keeps_what_it_does_not_mention() -> None:
    record = merge(merge({}, {"PID-5": JANE, "PID-8": JOAN}, EARLY), {"PID-5": JOAN}, LATE)
    assert record == {"PID-5": Known(JOAN, LATE), "PID-8": Known(JOAN, EARLY)}


def test_an_older_message_fills_gaps_and_overwrites_nothing() -> None:
    record = merge(merge({}, {"PID-5": JANE}, LATE), {"PID-5": JOAN, "PID-8": JOAN}, EARLY)
    assert record == {"PID-5": Known(JANE, LATE), "PID-8": Known(JOAN, EARLY)}


def test_a_message_of_the_same_time_overwrites() -> None:
    assert merge(merge({}, {"PID-5": JANE}, EARLY), {"PID-5": JOAN}, EARLY)["PID-5"].value == JOAN


def test_an_explicit_null_deletes_and_stays_deleted_against_older_messages() -> None:
    record = merge(merge({}, {"PID-5": JANE}, EARLY), {"PID-5": ((('""',),),)}, LATE)
    assert merge(record, {"PID-5": JANE}, EARLY)["PID-5"].value == ()


def said_of(*lines: str) -> Fields:
    head = r"MSH|^~\&|RIS|H|||20260101||ADT^A08|1|P|2.5"
    segments = read("\r".join([head, *lines]).encode(), "utf-8").segments
    return fields_of(segments, {"NK1": (2, 3), "PID": (5,)}, frozenset(("NK1",)))


def test_every_occurrence_of_a_segment_that_repeats_is_kept_by_itself() -> None:
    assert said_of("NK1|1|Doe^Jim|SPO", "NK1|2|Roe^Jo|CHD") == {
        "NK1": ((("2",),),),
        "NK1-2": ((("Doe",), ("Jim",)),),
        "NK1-3": ((("SPO",),),),
        "NK1:2-2": ((("Roe",), ("Jo",)),),
        "NK1:2-3": ((("CHD",),),),
    }


def test_segments_that_repeat_are_said_as_a_whole() -> None:
    record = merge({}, said_of("NK1|1|Doe^Jim|SPO", "NK1|2|Roe^Jo|CHD"), EARLY)
    record = merge(record, said_of("NK1|1|Poe^Al"), LATE)
    told = {name: known.value for name, known in record.items() if known.value}
    assert told == {"NK1": ((("1",),),), "NK1-2": ((("Poe",), ("Al",)),)}


def test_an_older_message_does_not_bring_segments_that_repeat_back() -> None:
    record = merge({}, said_of("NK1|1|Poe^Al"), LATE)
    assert merge(record, said_of("NK1|1|Doe^Jim|SPO", "NK1|2|Roe^Jo|CHD"), EARLY) == record


def test_a_message_without_such_segments_says_nothing_of_them() -> None:
    record = merge({}, said_of("NK1|1|Doe^Jim|SPO"), EARLY)
    assert merge(record, said_of("PID|1||||Doe"), LATE)["NK1-2"].value == ((("Doe",), ("Jim",)),)


values = st.sampled_from([JANE, JOAN, ((("A", "b"), ("",)), (("ü\n",),)), ((('""',),),)])
said = st.dictionaries(st.sampled_from(["PID-3", "PID-5", "PID-8"]), values, min_size=1)
times = st.integers(0, 5).map(lambda hours: EARLY + timedelta(hours=hours))


@given(st.lists(st.tuples(said, times), unique_by=lambda message: message[1], max_size=5), st.randoms())
def test_the_order_of_arrival_does_not_matter_when_times_differ(messages: list, random) -> None:
    shuffled = list(messages)
    random.shuffle(shuffled)
    assert _all(messages) == _all(shuffled)


def _all(messages: list) -> Record:
    record: Record = {}
    for fields, when in messages:
        record = merge(record, fields, when)
    return record


@given(said, times)
def test_a_record_is_read_back_as_it_was_written(fields: Fields, when: datetime) -> None:
    record = merge({}, fields, when)
    assert load(dump(record)) == record
