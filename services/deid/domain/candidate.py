"""What of a withheld instance would go out, were it let go: made anew each time, for people to look at."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import BinaryIO, NamedTuple

from contracts.formats.manifest import Instance
from services.deid.domain.looking.scanner import Finding
from services.deid.domain.names import Names
from services.deid.domain.packing import NOTHING_ELSE, CleanPack, Held, Opener, Original, clean_pack, fetch
from services.deid.domain.part10 import Project
from services.deid.domain.withholding import Reason
from services.deid.domain.workspace import Workspace, part_of


class Candidate(NamedTuple):
    """The pack of the one instance; nothing is in it when it can't be cleaned at all, for ``reason``. ``findings`` are
    those of the second look at it."""

    pack: CleanPack
    reason: Reason | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def digest(self) -> str:
        """The SHA-256 of the cleaned data set, "" without one."""
        return self.pack.released[0].dataset_sha256 if self.pack.released else ""


def candidate_of(
    pack_id: str,
    instance: Instance,
    sources: Sequence[Opener],
    project: Project,
    workspace: Workspace,
    studies: Mapping[str, Names] = NOTHING_ELSE,
) -> Candidate:
    """Clean one instance for ``project``; InputDamaged or RetryLater when its bytes can't be read.

    ``studies`` is what the headers of its study named when it was withheld. With ``project.approved`` nothing is held
    back for its kind, or for what the second look finds.
    """
    pack = clean_pack(pack_id, [Original(instance, tuple(sources))], project, workspace, studies)
    if pack.held:
        (held,) = pack.held
        return Candidate(pack, held.reason, pack.held_record(held).findings)
    (released,) = pack.released
    return Candidate(pack, None, released.findings)


def original_of(instance: Instance, sources: Sequence[Opener], workspace: Workspace) -> BinaryIO:
    """The withheld file as it was received; InputDamaged or RetryLater when its bytes can't be read."""
    return part_of(workspace.at_hand, fetch(Original(instance, tuple(sources)), workspace.at_hand))


def part_id_of(source_pack_id: str, instance: Instance, project: Project, release: int) -> str:
    """What the pack is called in which a withheld instance goes out; ``release`` as in ``pack_id_of``."""
    later = [f"release {release}"] if release else []
    digests = instance.meta_sha256, instance.dataset_sha256
    return project.key.token("part", source_pack_id, *later, instance.sop_instance_uid, *digests)


def entry_id_of(source_pack_id: str, held: Held, project: Project) -> str:
    """What a withheld instance is called when people speak of it; tells nothing."""
    digests = held.meta_sha256, held.dataset_sha256
    return project.key.token("quarantined", source_pack_id, held.sop_instance_uid, *digests)[:16]


def approving(project: Project) -> Project:
    """The project as it cleans what a person lets go."""
    return replace(project, approved=True)
