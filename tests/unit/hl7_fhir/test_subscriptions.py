"""Subscriptions are read strictly, match what they say, and never tell more than they may."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.hl7_fhir.adapters.subscribing import Subscribing
from services.hl7_fhir.config import Settings
from services.hl7_fhir.domain.fhir.capability import capability as stated_by
from services.hl7_fhir.domain.fhir.documents import Stored
from services.hl7_fhir.domain.subscriptions import capability, filters
from services.hl7_fhir.domain.subscriptions.channel import Header, check_endpoint, unmasked
from services.hl7_fhir.domain.subscriptions.endpoints import is_allowed, parse
from services.hl7_fhir.domain.subscriptions.notification import Event, Kind, least, notification
from services.hl7_fhir.domain.subscriptions.refused import SubscriptionRefused
from services.hl7_fhir.domain.subscriptions.subscription import Status, Subscription, check_end, next_status, read
from services.hl7_fhir.domain.subscriptions.topics import NAMES, TOPICS
from shared.identity import SiteKey
from shared.sql import Database
from tests.support.fhir import assert_valid
from tests.support.subscriptions import asked, events_of, status_of

HOOK = "https://ehr.example/hooks/1"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NAME = UUID(int=7, version=4)

ORDER: dict[str, Any] = {
    "resourceType": "ServiceRequest",
    "status": "active",
    "intent": "order",
    "subject": {"reference": "Patient/p1", "type": "Patient"},
    "identifier": [{"system": "urn:x:acc", "value": "A1"}, {"value": "bare"}],
    "code": {"coding": [{"system": "http://loinc.org", "code": "24725-4"}]},
    "orderDetail": [{"coding": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"}]}],
}
PATIENT_IDS = [{"system": "urn:x:mrn", "value": "M|1"}]


def subscription(status: Status = Status.ACTIVE, **more: Any) -> Subscription:
    wanted = read(asked(more.pop("topic", "servicerequest-changed"), **more))
    return Subscription("s1", 3, NOW, status, None, "https://pacs.example/fhir", 9, 7, wanted)


def matches(criteria: str, body: dict[str, Any] = ORDER, kind: str = "servicerequest-changed") -> bool:
    wanted = filters.read(criteria, TOPICS[NAMES + kind])
    return filters.match(wanted, "o1", body, lambda patient: list(PATIENT_IDS) if patient == "p1" else [])


@pytest.mark.parametrize(
    "query",
    [
        "patient=p1",
        "patient=Patient/p1",
        "subject=https://pacs.example/fhir/Patient/p1",
        "patient=p9,p1",
        "_id=o1",
        "identifier=A1",
        "identifier=urn:x:acc|A1",
        "identifier=urn:x:acc|",
        "identifier=|bare",
        "status=on-hold,active",
        "modality=CT",
        "code=http://loinc.org|24725-4",
        r"patient.identifier=urn:x:mrn|M\|1",
        "status=active&modality=CT&patient=p1",
    ],
)
def test_a_filter_lets_pass_what_it_names(query: str) -> None:
    assert matches(f"ServiceRequest?{query}")


@pytest.mark.parametrize(
    "query",
    [
        "patient=p2",
        "patient=1",
        "_id=o2",
        "identifier=A",
        "identifier=|A1",
        "identifier=urn:x:other|A1",
        "status=revoked",
        "modality=MR",
        "code=24725-4-1",
        "patient.identifier=M|1",
        "patient.identifier=urn:x:mrn|M2",
        "status=active&modality=MR",
    ],
)
def test_a_filter_holds_back_everything_else(query: str) -> None:
    assert not matches(f"ServiceRequest?{query}")


def test_the_modality_of_a_study_is_found_in_its_series_too() -> None:
    study = {"series": [{"modality": {"code": "SR"}}, {"modality": {"code": "MR"}}]}
    assert matches("ImagingStudy?modality=MR", study, "imagingstudy-changed")
    assert not matches("ImagingStudy?modality=CT", study, "imagingstudy-changed")


@pytest.mark.parametrize(
    "criteria",
    [
        "ServiceRequest?name=Doe",
        "ServiceRequest?status:not=active",
        "ServiceRequest?_lastUpdated=gt2020",
        "Patient?_id=1",
        "ServiceRequest",
        "ServiceRequest?status=",
        "ServiceRequest?status=a|b|c",
        "ServiceRequest?patient",
        "ServiceRequest?" + "&".join(["status=a"] * 21),
        "ServiceRequest?status=" + ",".join("a" * 101),
    ],
)
def test_a_filter_that_is_not_understood_is_refused_and_not_ignored(criteria: str) -> None:
    with pytest.raises(SubscriptionRefused):
        matches(criteria)


def test_a_topic_about_a_state_is_triggered_by_the_change_into_it_alone() -> None:
    topic = TOPICS[NAMES + "imagingstudy-available"]
    there, not_yet = {"status": "available"}, {"status": "registered"}
    assert topic.is_triggered(there, None)
    assert topic.is_triggered(there, not_yet)
    assert not topic.is_triggered(there, there)
    assert not topic.is_triggered(not_yet, None)


def test_a_merge_is_told_once() -> None:
    topic = TOPICS[NAMES + "patient-merged"]
    merged = {"link": [{"type": "replaced-by", "other": {"reference": "Patient/p2"}}]}
    assert topic.is_triggered(merged, {})
    assert not topic.is_triggered({**merged, "active": False}, merged)


def changed(path: str, value: Any) -> dict[str, Any]:
    """A Subscription with one element set, or removed (None)."""
    document = json.loads(json.dumps(asked(endpoint=HOOK)))
    *parents, last = path.split(".")
    place = document
    for parent in parents:
        place = place[parent]
    place.pop(last, None)
    if value is not None:
        place[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        ("resourceType", "Patient", "Subscription"),
        ("reason", None, "Subscription.reason"),
        ("criteria", "urn:x:other", "Subscription.criteria"),
        ("criteria", "Patient?_id=1", "Subscription.criteria"),
        ("_criteria", {"extension": [{"url": "urn:x:other"}]}, "Subscription.criteria.extension"),
        ("_criteria", {"extenson": []}, "Subscription.criteria"),
        ("_criteria", "Patient?_id=1", "Subscription.criteria"),
        ("status", "entered-in-error", "Subscription.status"),
        ("end", "2026-01-01", "Subscription.end"),
        ("end", "2026-01-01T00:00:00", "Subscription.end"),
        ("end", 5, "Subscription.end"),
        ("end", "0001-01-01T00:00:00+23:00", "Subscription.end"),
        ("end", "20300101T000000Z", "Subscription.end"),
        ("end", "2030-13-01T00:00:00Z", "Subscription.end"),
        ("modifierExtension", [{"url": "urn:x:other"}], "Subscription"),
        ("channel", [], "Subscription.channel"),
        ("channel.type", "email", "Subscription.channel.type"),
        ("channel._type", {"extension": []}, "Subscription.channel"),
        ("channel.payload", "application/fhir+xml", "Subscription.channel.payload"),
        ("channel.payload", None, "Subscription.channel.payload"),
        ("channel._payload", None, "Subscription.channel.payload.extension"),
        ("channel.endpoint", None, "Subscription.channel.endpoint"),
        ("channel.endpoint", "ftp://ehr.example/", "Subscription.channel.endpoint"),
        ("channel.extension", [{"url": "urn:x:other"}], "Subscription.channel.extension"),
        ("channel.header", ["X-Key: a\r\nHost: evil"], "Subscription.channel.header"),
        ("channel.header", ["Content-Length: 5"], "Subscription.channel.header"),
        ("channel.header", ["no colon"], "Subscription.channel.header"),
        ("channel.header", "X-Key: a", "Subscription.channel.header"),
    ],
)
def test_what_this_server_does_not_do_is_refused_with_its_element(path: str, value: Any, place: str) -> None:
    with pytest.raises(SubscriptionRefused) as refused:
        read(changed(path, value))
    assert refused.value.place == place


@pytest.mark.parametrize("document", [None, [], "x", 5, {}])
def test_what_is_no_subscription_is_refused(document: Any) -> None:
    with pytest.raises(SubscriptionRefused):
        read(document)


def test_a_subscription_cannot_end_before_it_begins() -> None:
    with pytest.raises(SubscriptionRefused):
        check_end(read(asked(endpoint=HOOK, end="2026-01-02T03:04:05Z")), NOW)
    check_end(read(asked(endpoint=HOOK, end="2026-01-02T04:04:06+01:00")), NOW)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
_PLACES = ("status", "reason", "criteria", "_criteria", "end", "channel", "text", "contact")
_OF_CHANNEL = ("type", "endpoint", "payload", "_payload", "extension", "header")


@given(
    st.dictionaries(st.sampled_from(_PLACES), _JSON, max_size=2),
    st.dictionaries(st.sampled_from(_OF_CHANNEL), _JSON, max_size=2),
)
def test_whatever_a_client_sends_is_read_or_refused(elements: dict[str, Any], channel: dict[str, Any]) -> None:
    document = asked(endpoint=HOOK)
    document["channel"] |= channel
    with suppress(SubscriptionRefused):
        read({**document, **elements}).body["channel"]["type"]


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_a_filter_says_is_read_or_refused(name: str, value: str) -> None:
    for criteria in (f"ServiceRequest?{name}={value}", f"ServiceRequest?identifier={value}", f"{name}?{value}"):
        with suppress(SubscriptionRefused):
            matches(criteria)


@given(st.text(max_size=60))
def test_an_endpoint_that_is_allowed_leads_to_the_listed_server_whoever_reads_it(tail: str) -> None:
    for url in (f"https://ehr.example/hooks/{tail}", f"https://ehr.example{tail}", f"https://{tail}/hooks/"):
        if is_allowed(url, ("https://ehr.example/hooks/",)):
            seen = httpx.URL(url)
            assert (seen.scheme, seen.host, seen.port) == ("https", "ehr.example", None)
            assert seen.path == "/hooks" or seen.path.startswith("/hooks/")


def test_a_list_of_endpoints_with_what_is_none_is_refused_at_the_start() -> None:
    settings = Settings(fhir_subscription_endpoints=("https://ehr.example/", "ftp://ehr.example/"))
    with pytest.raises(ValueError, match="ENDPOINTS"):
        Subscribing(settings, Database("sqlite:////nowhere/x.db"), SiteKey(b"k" * 32))


LISTED = ("https://ehr.example/hooks/", "http://127.0.0.1:8080", "https://other.example:8443/a")


@pytest.mark.parametrize(
    "url",
    [
        "https://ehr.example/hooks",
        "https://EHR.example:443/hooks/1?k=v",
        "http://127.0.0.1:8080/x",
        "https://other.example:8443/a/b",
    ],
)
def test_an_endpoint_below_what_is_listed_is_allowed(url: str) -> None:
    assert is_allowed(url, LISTED)


@pytest.mark.parametrize(
    "url",
    [
        "http://ehr.example/hooks/1",
        "https://ehr.example/hooks-of-others",
        "https://ehr.example/",
        "https://ehr.example:444/hooks/1",
        "https://ehr.example.evil.example/hooks/1",
        "https://ehr.example@evil.example/hooks/1",
        "https://evil.example/https://ehr.example/hooks/",
        "https://ehr.example/hooks/../admin",
        "https://ehr.example/hooks/%2e%2e/admin",
        "https://ehr.example/hooks/..%2fadmin",
        "https://ehr.example\\hooks\\1",
        "https://ehr.example/hooks/1#x",
        "https://ehr.example/hooks/\r\nHost: x",
        "http://127.0.0.1:80801/x",
        "https://[::1/hooks",
        "https:///hooks",
        "file:///etc/passwd",
    ],
)
def test_any_other_endpoint_is_not(url: str) -> None:
    assert not is_allowed(url, LISTED)


def test_whole_resources_are_not_sent_in_the_clear() -> None:
    listed = ("http://ehr.example/", "https://ehr.example/", "http://127.0.0.1:8080/")
    for url, content in (("http://ehr.example/", "id-only"), ("https://ehr.example/", "full-resource")):
        check_endpoint(read(asked(endpoint=url, content=content)).channel, listed)
    check_endpoint(read(asked(endpoint="http://127.0.0.1:8080/", content="full-resource")).channel, listed)
    with pytest.raises(SubscriptionRefused):
        check_endpoint(read(asked(endpoint="http://ehr.example/", content="full-resource")).channel, listed)


def test_values_of_headers_are_not_shown_and_kept_when_they_come_back_masked() -> None:
    made = subscription(endpoint=HOOK, header=["Authorization: Bearer secret", "X-Site: 5"])
    shown = made.shown()
    assert shown["channel"]["header"] == ["Authorization: ***", "X-Site: ***"]
    assert "secret" not in repr(made) + json.dumps(shown)
    assert_valid(shown)
    again = read({**shown, "status": "off"})
    back = unmasked((*again.channel.headers, Header("X-New", "n")), made.wanted.channel.headers)
    assert [(each.name, each.value) for each in back] == [
        ("Authorization", "Bearer secret"),
        ("X-Site", "5"),
        ("X-New", "n"),
    ]


def test_more_than_this_server_gives_is_cut_to_what_it_gives() -> None:
    channel = read(asked(endpoint=HOOK, timeout=4000, max_count=4000, heartbeat=0)).channel
    assert (channel.timeout, channel.max_count, channel.heartbeat) == (60, 100, None)


def test_active_comes_after_a_handshake_only() -> None:
    made = subscription(endpoint=HOOK)
    assert next_status(read(asked(endpoint=HOOK, status="active")), None) is Status.REQUESTED
    assert next_status(read(asked(status="requested")), None) is Status.ACTIVE  # a websocket has it when it is bound
    assert next_status(read(made.shown()), made) is Status.ACTIVE
    moved = {**made.shown(), "channel": {**made.shown()["channel"], "endpoint": HOOK + "/2"}}
    assert next_status(read(moved), made) is Status.REQUESTED
    assert next_status(read({**made.shown(), "status": "off"}), made) is Status.OFF
    failed = subscription(Status.ERROR, endpoint=HOOK)
    assert next_status(read(failed.shown()), failed) is Status.ERROR
    assert next_status(read({**failed.shown(), "status": "active"}), failed) is Status.REQUESTED


def event(number: int, *, created: bool = False) -> Event:
    return Event(number, NOW, created, Stored("ServiceRequest", "o1", number, NOW, "m" * 32, ORDER))


@pytest.mark.parametrize("content", ["empty", "id-only", "full-resource"])
def test_a_notification_tells_as_much_as_its_content_says(content: str) -> None:
    to = subscription(endpoint=HOOK, content=content)
    events = [event(8, created=True), event(9)]
    bundle = notification(to, Kind.EVENT, events, content=content, name=NAME, now=NOW)
    assert_valid(bundle)
    assert bundle["type"] == "history"
    assert bundle["entry"][0]["request"]["url"] == "https://pacs.example/fhir/Subscription/s1/$status"
    told = status_of(bundle)
    assert (told["status"], told["type"], told["events-since-subscription-start"]) == (
        "active",
        "event-notification",
        "9",
    )
    assert [each["event-number"] for each in events_of(bundle)] == [8, 9]
    text = json.dumps(bundle)
    assert ("ServiceRequest/o1" in text) == ("Patient/p1" in text) == (content != "empty")
    assert ("24725-4" in text) == (content == "full-resource")
    if content == "empty":
        assert len(bundle["entry"]) == 1
        assert "topic" not in told
    else:
        assert [entry["request"]["method"] for entry in bundle["entry"][1:]] == ["POST", "PUT"]
        assert [entry["response"]["status"] for entry in bundle["entry"][1:]] == ["201", "200"]
        assert events_of(bundle)[0]["focus"] == bundle["entry"][1]["fullUrl"]
        assert events_of(bundle)[0]["additional-context"] == "https://pacs.example/fhir/Patient/p1"


@pytest.mark.parametrize("kind", [Kind.HANDSHAKE, Kind.HEARTBEAT])
def test_handshake_and_heartbeat_carry_no_event(kind: Kind) -> None:
    bundle = notification(subscription(endpoint=HOOK), kind, (), content="full-resource", name=NAME, now=NOW)
    assert_valid(bundle)
    assert len(bundle["entry"]) == 1
    assert status_of(bundle)["type"] == kind.value


def test_an_answer_never_holds_more_than_the_subscription_may_have() -> None:
    assert least("full-resource", "id-only") == "id-only"
    assert least("empty", "full-resource") == "empty"
    assert least("nonsense", "id-only") == least(None, "id-only") == "id-only"


def test_topics_and_capabilities_are_valid_r4() -> None:
    for topic in TOPICS.values():
        assert_valid(capability.topic_resource(topic))
    before = stated_by("https://pacs.example/fhir", "1", NOW)
    stated = capability.stated(before, "wss://pacs.example/fhir/websocket")
    assert_valid(stated)
    (rest,) = stated["rest"]
    told = next(each for each in rest["resource"] if each["type"] == "Subscription")
    assert {each["valueCanonical"] for each in told["extension"]} == set(TOPICS)
    assert rest["extension"][0]["valueUri"] == "wss://pacs.example/fhir/websocket"
    assert len(rest["resource"]) == len(before["rest"][0]["resource"]) + 2


def test_an_address_in_brackets_is_one() -> None:
    found = parse("http://[::1]:8080/x")
    assert found is not None
    assert (found.host, found.port, found.is_private) == ("::1", 8080, True)
