"""What is said of a study when a step of its life is due."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import get_args

from contracts.events import (
    Blob,
    Event,
    Evidence,
    Fact,
    ProvenCopy,
    StudyArchived,
    StudyCompleted,
    StudyReceived,
    StudyRevised,
)
from contracts.events.study import Reason
from services.catalog.domain.lifecycle import Step, Study, confidence, evidence

#: What a summary calls itself.
SUMMARY_FORMAT = "causeway.study-summary/1"


@dataclass(frozen=True)
class Due:
    """A study with what the decision needs, and the revision that a writer must find unchanged."""

    study_uid: str
    study_ref: str
    revision: int
    series: int
    study: Study


@dataclass(frozen=True)
class Word:
    """One word on a study: ``now`` is when (seconds since 1970, by the events), ``summary`` None for the first."""

    due: Due
    step: Step
    now: float
    summary: Blob | None = None


def event_of(word: Word, copies: tuple[ProvenCopy, ...] = (), withheld: int = 0) -> Event:
    """The event that says it; ``copies`` and ``withheld`` (instances) are told when the study is archived."""
    due, now = word.due, datetime.fromtimestamp(word.now, UTC)
    of_study = {"study_uid": due.study_uid, "study_ref": due.study_ref}
    if word.summary is None:
        return StudyReceived(**of_study, received=datetime.fromtimestamp(due.study.last_event, UTC))
    counts = {"instances": due.study.instances, "summary": word.summary}
    if word.step is Step.ARCHIVE:
        held = {"revision": due.revision, "copies": copies, "withheld": withheld}
        return StudyArchived(**of_study, **counts, **held, archived=now)
    counts |= {"revision": due.revision + 1, "series": due.series}
    if word.step is Step.REVISE:
        return StudyRevised(**of_study, **counts, added=due.study.instances - due.study.told, revised=now)
    return StudyCompleted(**of_study, **counts, **_reasons(due.study), confidence=confidence(due.study), completed=now)


def _reasons(study: Study) -> dict[str, tuple[Fact, ...]]:
    """All reasons, and those of the kinds that the first revision of the event knew."""
    reasons = tuple(Reason(kind=proof.kind, confidence=proof.confidence) for proof in evidence(study))
    known = get_args(Evidence.model_fields["kind"].annotation)
    first = tuple(Evidence.model_validate(one.model_dump()) for one in reasons if one.kind in known)
    return {"reasons": reasons, "evidence": first}
