"""The topics that may be subscribed to, as data: which change of which resource, and how it may be narrowed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.hl7_fhir.domain.subscriptions.elements import found_at

NAMES = "urn:x-causeway:subscription-topic:"


@dataclass(frozen=True)
class FilterBy:
    """A filter that a topic allows.

    ``kind`` is ``id`` (of the resource), ``code`` (bare code), ``token`` (Identifier or Coding), ``reference``, or
    ``patient-identifier`` (identifiers of the Patient referred to); ``paths`` are where its values lie in the resource.
    """

    name: str
    kind: str
    paths: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Becomes:
    """Only a change after which ``path`` holds one of ``codes``, and before which it held none of them."""

    path: str
    codes: frozenset[str]

    def is_true_of(self, body: Mapping[str, Any]) -> bool:
        """Whether the resource is in that state."""
        return any(value in self.codes for value in found_at(body, self.path))


@dataclass(frozen=True)
class Topic:
    """A SubscriptionTopic (R5): every create and update of ``resource``, or only those into a state."""

    name: str
    title: str
    text: str
    resource: str
    filters: tuple[FilterBy, ...]
    becomes: Becomes | None = None

    @property
    def url(self) -> str:
        """Its canonical URL, which Subscription.criteria names."""
        return NAMES + self.name

    def is_triggered(self, body: Mapping[str, Any], before: Mapping[str, Any] | None) -> bool:
        """Whether the change from ``before`` (None: created) to ``body`` is one of this topic."""
        if self.becomes is None:
            return True
        return self.becomes.is_true_of(body) and not (before is not None and self.becomes.is_true_of(before))

    def filter(self, name: str) -> FilterBy | None:
        """The filter called ``name``."""
        return next((each for each in self.filters if each.name == name), None)


_ID = FilterBy("_id", "id", (), "The id of the resource")
_IDENTIFIER = FilterBy("identifier", "token", ("identifier",), "An identifier of the resource")
_PATIENT = (
    FilterBy("patient", "reference", ("subject.reference", "patient.reference"), "The Patient that it is about"),
    FilterBy("subject", "reference", ("subject.reference", "patient.reference"), "The Patient that it is about"),
    FilterBy("patient.identifier", "patient-identifier", (), "An identifier of the Patient that it is about"),
)
_STATUS = FilterBy("status", "code", ("status",), "The status")
_COMMON = (_ID, _IDENTIFIER, *_PATIENT, _STATUS)

_STUDY = (
    *_COMMON,
    FilterBy("modality", "token", ("modality", "series.modality"), "A modality of the study or of one of its series"),
    FilterBy("basedon", "reference", ("basedOn.reference",), "The order that the study fulfils"),
)
_ORDER = (
    *_COMMON,
    FilterBy("code", "token", ("code.coding",), "What was ordered"),
    FilterBy("modality", "token", ("orderDetail.coding",), "The modality that was ordered"),
    FilterBy("priority", "code", ("priority",), "The priority"),
)
_REPORT = (
    *_COMMON,
    FilterBy("code", "token", ("code.coding",), "What is reported"),
    FilterBy("category", "token", ("category.coding",), "The department"),
    FilterBy("based-on", "reference", ("basedOn.reference",), "The order that it answers"),
)
_ENCOUNTER = (*_COMMON, FilterBy("class", "token", ("class",), "Inpatient, outpatient, emergency"))

_ALL = (
    Topic(
        "imagingstudy-available",
        "Imaging study available",
        "A study can be retrieved: its status becomes available.",
        "ImagingStudy",
        _STUDY,
        Becomes("status", frozenset(("available",))),
    ),
    Topic("imagingstudy-changed", "Imaging study changed", "A study is new or changed.", "ImagingStudy", _STUDY),
    Topic("servicerequest-changed", "Order changed", "An order is new or changed.", "ServiceRequest", _ORDER),
    Topic(
        "servicerequest-cancelled",
        "Order cancelled",
        "An order is cancelled: its status becomes revoked or entered-in-error.",
        "ServiceRequest",
        _ORDER,
        Becomes("status", frozenset(("revoked", "entered-in-error"))),
    ),
    Topic("patient-changed", "Patient changed", "A patient is new or changed.", "Patient", (_ID, _IDENTIFIER)),
    Topic(
        "patient-merged",
        "Patient merged",
        "A patient's record is replaced by another: a link of type replaced-by appears.",
        "Patient",
        (_ID, _IDENTIFIER),
        Becomes("link.type", frozenset(("replaced-by",))),
    ),
    Topic("diagnosticreport-changed", "Report changed", "A report is new or changed.", "DiagnosticReport", _REPORT),
    Topic(
        "diagnosticreport-final",
        "Report final",
        "A report becomes final, amended or corrected.",
        "DiagnosticReport",
        _REPORT,
        Becomes("status", frozenset(("final", "amended", "corrected", "appended"))),
    ),
    Topic("encounter-changed", "Encounter changed", "An encounter is new or changed.", "Encounter", _ENCOUNTER),
)

TOPICS: dict[str, Topic] = {topic.url: topic for topic in _ALL}
