"""What de-identification says, and under which ids; and what becomes of a result when its plan comes again."""

from collections.abc import Iterable
from enum import Enum

from contracts.events import Blob, Fact, InstancesQuarantined, PackDeidentified, PackPlanned, PlannedCopy
from contracts.events.pack import Withheld
from services.deid.domain.quarantine import Entry
from shared.identity import SiteKey


class Outputs(Fact):
    """Where the parts of a de-identified pack lie."""

    manifest: Blob
    headers: Blob
    archive: Blob
    links: Blob
    instances: int
    #: Where earlier versions kept ``Result.report``; the first of them kept none.
    report: Blob | None = None


class Result(Fact):
    """A finished de-identification, as it is kept: the same words for every repeat of the question.

    ``outputs`` is None when every instance was withheld: then there is no pack. ``copies`` are those that its plan has
    for the project, for what is released from quarantine later; nobody knows them of what was done by earlier versions.
    ``release`` counts how often the study was called back in the project before, ``key_domains`` are those that the
    pack was asked for in. ``report`` is what was done and what was withheld (domain/reporting.py).
    """

    pack_id: str
    manifest_sha256: str
    outputs: Outputs | None
    withheld: tuple[Withheld, ...]
    run: int = 0
    released: bool = False
    plan_id: str = ""
    copies: tuple[PlannedCopy, ...] = ()
    profile: str = "basic"
    profile_version: str = "1"
    release: int = 0
    key_domains: tuple[str, ...] = ()
    report: Blob | None = None

    @property
    def kept_report(self) -> Blob | None:
        """Where the report lies, if there is one."""
        return self.report or (self.outputs.report if self.outputs else None)

    def asked_again(self, event: PackPlanned, copies: tuple[PlannedCopy, ...]) -> "Result":
        """The same for a later run, which may name only copies that are due: another plan's take their place."""
        kept = {(one.target, one.key_domain): one for one in self.copies} if event.plan_id == self.plan_id else {}
        kept |= {(one.target, one.key_domain): one for one in copies}
        found = self.model_copy(update={"run": event.run, "plan_id": event.plan_id, "copies": tuple(kept.values())})
        return found.asked_for(copies)

    def asked_for(self, copies: Iterable[PlannedCopy]) -> "Result":
        """The same with the key domains of these copies."""
        domains = {*self.key_domains, *(copy.key_domain for copy in copies)}
        return self.model_copy(update={"key_domains": tuple(sorted(domains))})


class Again(Enum):
    """What follows when a pack with a recorded result was de-identified once more."""

    STANDS = "stands"  # the recorded result is what is told, and nothing is kept
    KEPT = "kept"  # the same bytes are wanted again
    EDITION = "edition"  # other rules, and nothing that holds to the recorded result: another pack takes its place


def again(known: Result, manifest_sha256: str, run: int) -> Again:
    """What follows when the work comes to ``manifest_sha256`` now, for run ``run`` of a plan.

    A repeat changes nothing, whatever the rules are by now: its facts have the ids of those that were told. Only a
    later run is heard; it gets here only when no copy of the recorded pack is known (handlers.py).
    """
    same = manifest_sha256 == known.manifest_sha256
    if run <= known.run and (known.released or not same):
        return Again.STANDS
    return Again.KEPT if same else Again.EDITION


def pack_deidentified(
    event: PackPlanned, project: str, copies: tuple[PlannedCopy, ...], result: Result
) -> PackDeidentified | None:
    """The fact that the pack is ready, None when nothing of it goes out."""
    if result.outputs is None:
        return None
    return PackDeidentified(
        pack_id=result.pack_id,
        source_pack_id=event.pack_id,
        project=project,
        study_ref=event.study_ref,
        size=result.outputs.archive.size,
        copies=copies,
        run=event.run,
        release=result.release,
        **result.outputs.model_dump(exclude={"report"}),
    )


def part_deidentified(
    source: PackPlanned | Entry, project: str, part: int, result: Result, copies: tuple[PlannedCopy, ...]
) -> PackDeidentified:
    """The fact that what was released from quarantine is ready, as a further part. ValueError without outputs."""
    if result.outputs is None:
        raise ValueError("nothing goes out")
    return PackDeidentified(
        pack_id=result.pack_id,
        source_pack_id=source.pack_id if isinstance(source, PackPlanned) else source.source_pack_id,
        project=project,
        study_ref=source.study_ref,
        size=result.outputs.archive.size,
        copies=copies,
        run=result.run,
        part=part,
        release=result.release,
        **result.outputs.model_dump(exclude={"report"}),
    )


def instances_quarantined(event: PackPlanned, project: str, result: Result) -> InstancesQuarantined | None:
    """The fact that instances were withheld, None when all went out."""
    if not result.withheld:
        return None
    return InstancesQuarantined(
        pack_id=event.pack_id,
        project=project,
        study_ref=event.study_ref,
        withheld=result.withheld,
        released=result.outputs.instances if result.outputs else 0,
        run=event.run,
    )


def event_id(site_key: SiteKey, subject: str, cause: str, project: str) -> str:
    """The ``ce-id``: the same for a repeat of its cause, which is the ``ce-id`` of the plan (a new run has its own)."""
    return site_key.event_id(subject, cause, project)
