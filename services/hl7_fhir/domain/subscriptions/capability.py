"""What the CapabilityStatement says of subscriptions, and the topics as resources of R4.

Guide: "Conformance in FHIR R4". R4 has no SubscriptionTopic; a topic is served as a Basic with R5's elements as
extensions (R4 section 2.4, "Extensions for converting between versions").
"""

from typing import Any

from services.hl7_fhir.domain.subscriptions import GUIDE, PROFILES
from services.hl7_fhir.domain.subscriptions.topics import TOPICS, FilterBy, Topic

Json = dict[str, Any]

INSTANTIATES = f"{GUIDE}/CapabilityStatement/backport-subscription-server-r4"
#: (name, type, what it finds) of a search for Subscriptions.
SEARCHES = (
    ("_id", "token", "The id of the resource"),
    ("status", "token", "requested, active, error or off"),
    ("url", "uri", "Where notifications are sent"),
    ("criteria", "string", "The beginning of the topic's canonical URL"),
)
_R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic"
_WEBSOCKET = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket"


def stated(statement: Json, websocket: str) -> Json:
    """The CapabilityStatement with what the guide asks for; ``websocket`` is the URL where websockets are taken."""
    rest, *others = statement["rest"]
    told = {
        **rest,
        "extension": [*rest.get("extension", []), {"url": _WEBSOCKET, "valueUri": websocket}],
        "resource": [*rest["resource"], _subscription(), _basic()],
    }
    return {**statement, "instantiates": [INSTANTIATES], "rest": [told, *others]}


def _subscription() -> Json:
    """The entry of CapabilityStatement.rest.resource for Subscription, which lists the topics."""
    topics = [
        {"url": f"{PROFILES}/capabilitystatement-subscriptiontopic-canonical", "valueCanonical": url} for url in TOPICS
    ]
    operations = ("status", "events", "get-ws-binding-token")
    return {
        "extension": topics,
        "type": "Subscription",
        "supportedProfile": [f"{PROFILES}/backport-subscription"],
        "interaction": [{"code": code} for code in ("create", "read", "update", "delete", "search-type")],
        "versioning": "versioned",
        "readHistory": False,
        "updateCreate": False,
        "searchParam": [{"name": name, "type": sort, "documentation": text} for name, sort, text in SEARCHES],
        "operation": [
            {"name": name, "definition": f"{GUIDE}/OperationDefinition/backport-subscription-{name}"}
            for name in operations
        ],
    }


def _basic() -> Json:
    """The entry for Basic: topics, read only."""
    return {"type": "Basic", "interaction": [{"code": code} for code in ("read", "search-type")]}


def topic_resource(topic: Topic) -> Json:
    """A topic as a Basic."""
    return {
        "resourceType": "Basic",
        "id": topic.name,
        "extension": [
            {"url": f"{_R5}.url", "valueUri": topic.url},
            {"url": f"{_R5}.title", "valueString": topic.title},
            {"url": f"{_R5}.description", "valueMarkdown": topic.text},
            {"url": f"{_R5}.resourceTrigger", "extension": _trigger(topic)},
            *({"url": f"{_R5}.canFilterBy", "extension": _filter(topic, each)} for each in topic.filters),
        ],
        "modifierExtension": [{"url": f"{_R5}.status", "valueCode": "active"}],
        "code": {"coding": [{"system": "http://hl7.org/fhir/fhir-types", "code": "SubscriptionTopic"}]},
    }


def _trigger(topic: Topic) -> list[Json]:
    parts: list[Json] = [
        {"url": "description", "valueMarkdown": topic.text},
        {"url": "resource", "valueUri": f"http://hl7.org/fhir/StructureDefinition/{topic.resource}"},
        {"url": "supportedInteraction", "valueCode": "create"},
        {"url": "supportedInteraction", "valueCode": "update"},
    ]
    if topic.becomes:
        codes = " | ".join(f"'{code}'" for code in sorted(topic.becomes.codes))
        state = f"({topic.becomes.path} intersect ({codes})).exists()"
        now_and_not_before = f"%current.{state} and %previous.{state}.not()"
        parts.append({"url": "fhirPathCriteria", "valueString": now_and_not_before})
    return parts


def _filter(topic: Topic, one: FilterBy) -> list[Json]:
    return [
        {"url": "description", "valueMarkdown": one.text},
        {"url": "resource", "valueUri": topic.resource},
        {"url": "filterParameter", "valueString": one.name},
    ]
