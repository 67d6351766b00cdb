"""Field by field: nothing that is newer is overwritten, and what is not said is not forgotten."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.hl7_fhir.domain.record import Fields, Known, Record, dump, load, merge

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
