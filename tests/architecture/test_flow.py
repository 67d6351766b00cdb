"""The flow is what the services say: one producer per event, documents without drift, consumers as provisioned."""

from collections import Counter

import pytest

from cli.describe import ROOT, built, consumed, documents, published
from cli.embedded.plan import site_plan
from contracts.events import BY_SUBJECT


def test_every_event_has_one_producer() -> None:
    with built() as services:
        producers = Counter(subject for service in services for subject in published(service))
    assert producers == dict.fromkeys(BY_SUBJECT, 1)


def test_what_a_service_consumes_is_what_is_provisioned_for_it() -> None:
    with built() as services:
        for service in services:
            planned = {consumer.subject for consumer in site_plan().of(service.name)}
            assert set(consumed(service)) == planned, service.name


@pytest.mark.parametrize("path", sorted(documents()), ids=lambda path: str(path.relative_to(ROOT)))
def test_generated_documents_are_up_to_date(path: object) -> None:
    assert path.read_text() == documents()[path], "run `make flow`"  # type: ignore[attr-defined,index]
