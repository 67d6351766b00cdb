"""The report of a pack: what was done to which attribute by which rule, and how often, and what was withheld for which
reason; no value of any original."""

import json
from collections import Counter
from collections.abc import Mapping

from services.deid.domain.part10 import Project
from services.deid.domain.record import MOST, Step
from services.deid.domain.statement import statement_of

FORMAT = "causeway.deid-report/1"


def add_steps(steps: Counter[Step], more: Counter[Step]) -> None:
    """Count what was done to one more file; beyond ``record.MOST`` different steps only by action and rule."""
    for step, count in more.items():
        known = step in steps or len(steps) < MOST
        steps[step if known else Step((), step.action, step.rule)] += count


def write_report(
    pack_id: str, project: Project, instances: int, entries: Mapping[str, str], steps: Counter[Step]
) -> bytes:
    """The report as JSON, the same for the same work.

    ``instances`` went out. ``entries`` did not: the reason of each (domain/withholding.py) by its opaque id.
    """
    profile = project.profile
    document = {
        "format": FORMAT,
        "pack_id": pack_id,
        "project": project.name,
        "profile": {
            "name": profile.name,
            "version": profile.version,
            "legal_basis": profile.legal_basis.value,
            "options": sorted(option.value for option in profile.options),
        },
        "edition": project.rules.edition,
        "instances": instances,
        "withheld": dict(sorted(Counter(entries.values()).items())),
        "entries": [{"entry": entry, "reason": reason} for entry, reason in sorted(entries.items())],
        "steps": [
            {"attribute": _path(step), "action": step.action, "rule": step.rule, "count": count}
            for step, count in sorted(steps.items())
        ],
        "statement": statement_of(profile, project.rules),
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def _path(step: Step) -> str:
    return "/".join(f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in step.path) or "others"
