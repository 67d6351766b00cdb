"""Streams and consumers: every event has one stream, every consumer an event, and the services agree."""

import pytest

from contracts.events import BY_SUBJECT, EVENTS, RESERVED, Event
from contracts.streams import consumers, documents, subjects_of
from shared.messaging.names import durable
from shared.messaging.plan import covers, read_plan
from shared.messaging.provision import provision
from tests.contract.routes import DEAD_LETTERS, SERVICES, routed
from tests.support.nats import NatsServer

PLAN = read_plan(*documents())


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.subject)
def test_every_event_lies_in_exactly_the_stream_it_names(event: type[Event]) -> None:
    """A publisher names the stream; another one's subjects must not hold it as well."""
    assert [stream.name for stream in PLAN.streams if any(covers(p, event.subject) for p in stream.subjects)] == [
        event.stream()
    ]


def test_there_are_the_four_streams() -> None:
    """With what a published message needs to be seen once, and kept long enough."""
    assert {stream.name for stream in PLAN.streams} == {"IMAGING", "CLINICAL", "DEADLETTERS", "ADVISORIES"}
    assert all(stream.duplicate_window >= 3600 for stream in PLAN.streams)
    assert all(stream.max_bytes > 0 for stream in PLAN.streams)
    assert all(stream.max_age == 0 or stream.max_age >= 14 * 86400 for stream in PLAN.streams)


def test_every_consumer_hears_an_event_that_exists() -> None:
    """No reserved name, no typing error that would wait for ever."""
    heard = {row["subject"] for row in consumers()} - {DEAD_LETTERS}
    assert heard <= set(BY_SUBJECT)
    assert not heard & set(RESERVED)


def test_durable_names_are_unique_and_carry_the_target() -> None:
    """One durable per target for replication, whatever the site calls its targets."""
    names = [each.name for each in PLAN.durables({"target": ["onsite", "cloud-a"]})]
    assert len(set(names)) == len(names)
    assert {"replication_pack_sealed_onsite", "replication_pack_sealed_cloud-a"} <= set(names)
    assert "encryption_pack_planned" in names
    assert "tier_routing_deadletter" in names


def test_consumers_wait_30_seconds_and_only_who_reads_and_writes_targets_is_per_target() -> None:
    """The heartbeat holds a message as long as it takes; a dead process is noticed after the wait."""
    assert {consumer.ack_wait for consumer in PLAN.consumers} == {30}
    assert {consumer.service for consumer in PLAN.consumers if consumer.each} == {
        "forwarding",
        "replication",
        "verification",
    }


def test_a_site_may_ask_for_replicas_and_room() -> None:
    """For all streams, or for one."""
    plan = read_plan(*documents({"*": {"replicas": 3}, "IMAGING": {"max_bytes": "64GiB", "max_age": "90d"}}))
    found = {stream.name: stream for stream in plan.streams}
    assert {stream.replicas for stream in plan.streams} == {3}
    assert found["IMAGING"].max_bytes == 64 << 30
    assert found["CLINICAL"].max_bytes == 1 << 30


@pytest.mark.parametrize("name", ["subjects", "duplicate_window", "discard", "name"])
def test_a_site_cannot_change_the_contract(name: str) -> None:
    """Subjects and deduplication are not settings."""
    with pytest.raises(ValueError, match="fixed by the contract"):
        documents({"IMAGING": {name: "x"}})


#: Facts that no service consumes yet: they are there for integrators, or for later services.
FOR_INTEGRATORS = {
    "clinical.patient.registered.v1",
    "clinical.patient.updated.v1",
    "clinical.study.matched.v1",
    "imaging.batch.secured.v1",
    "imaging.forward.delivered.v1",
    "imaging.forward.failed.v1",
    "imaging.instance.conflicted.v1",
}


def test_a_fact_that_no_service_hears_is_no_accident() -> None:
    """It is named above; every other one has a consumer."""
    assert set(BY_SUBJECT) - {row["subject"] for row in consumers()} == FOR_INTEGRATORS


@pytest.mark.parametrize("service", SERVICES)
def test_the_consumers_of_a_service_are_those_of_its_route_table(service: str) -> None:
    """A durable that nobody reads lags for ever; a route without a durable hears nothing."""
    planned = {(row["subject"], "each" in row) for row in consumers() if row["service"] == service}
    assert planned == routed(service)
    assert {subject for subject, _ in planned} == set(subjects_of(service))


def test_names_of_durables_are_what_nats_allows() -> None:
    """No dot, no blank, no wildcard (NATS naming rules)."""
    for row in consumers():
        name = durable(row["service"], row["subject"], "cloud-a" if "each" in row else None)
        assert not set(name) & set(" .*>/\\")


async def test_a_real_server_takes_the_whole_plan_and_a_second_time_changes_nothing(nats_server: NatsServer) -> None:
    """Server advisories and dead letters as well."""
    async with nats_server.jetstream() as jetstream:
        first = await provision(jetstream, PLAN, {"target": ["onsite", "cloud-a", "cloud-b"]})
        again = await provision(jetstream, PLAN, {"target": ["onsite", "cloud-a", "cloud-b"]})
    assert {change.how for change in first} == {"made"}
    assert {change.how for change in again} == {"kept"}
