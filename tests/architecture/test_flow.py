"""The flow is what the services say: one producer per event, documents without drift, consumers as provisioned."""

from collections import Counter
from typing import get_args

from cli.describe import ROOT, built, consumed, documents, published
from cli.embedded.plan import site_plan
from contracts.events import BY_SUBJECT, Blob


def test_every_event_has_one_producer() -> None:
    with built() as services:
        producers = Counter(subject for service in services for subject in published(service))
    assert producers == dict.fromkeys(BY_SUBJECT, 1)


def test_every_store_has_one_owner() -> None:
    """It alone writes there and deletes; the names are those of claim checks, and of what no other service sees."""
    shared_stores = get_args(Blob.model_fields["store"].annotation)
    with built() as services:
        owners = Counter(name for service in services for name in service.stores if name != "database")
        for service in services:
            assert all(hasattr(service.settings, f"{name}_url") for name in {*service.stores} & {*shared_stores})
    assert owners == dict.fromkeys((*shared_stores, "spool", "targets"), 1)


def test_a_service_has_a_database_exactly_when_it_has_migrations() -> None:
    with built() as services:
        for service in services:
            migrates = (ROOT / "services" / service.name / "migrations").exists()
            assert ("database" in service.stores) is migrates, service.name


def test_what_a_service_consumes_is_what_is_provisioned_for_it() -> None:
    with built() as services:
        for service in services:
            planned = {consumer.subject for consumer in site_plan().of(service.name)}
            assert set(consumed(service)) == planned, service.name


def test_generated_documents_are_up_to_date() -> None:
    stale = [str(path.relative_to(ROOT)) for path, text in documents().items() if path.read_text() != text]
    assert stale == [], "run `make flow`"
