"""What de-identification says, and under which ids."""

from contracts.events import Blob, Fact, InstancesQuarantined, PackDeidentified, PackPlanned, PlannedCopy
from contracts.events.pack import Withheld
from shared.identity import SiteKey


class Outputs(Fact):
    """Where the parts of a de-identified pack lie."""

    manifest: Blob
    headers: Blob
    archive: Blob
    links: Blob
    instances: int


class Result(Fact):
    """A finished de-identification, as it is kept: the same words for every repeat of the question.

    ``outputs`` is None when every instance was withheld: then there is no pack.
    """

    pack_id: str
    manifest_sha256: str
    outputs: Outputs | None
    withheld: tuple[Withheld, ...]
    run: int = 0
    released: bool = False


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
        **dict(result.outputs),
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
