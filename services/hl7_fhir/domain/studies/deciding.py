"""What a person may decide of a study on the work list."""

from dataclasses import dataclass
from typing import Any, Literal

from shared.errors import Unprocessable

Kind = Literal["order", "patient", "dismiss", "undo"]


class VerdictRefused(Unprocessable):
    """The decision cannot be read, or names what is not there; ``reason`` is fit to be shown."""


@dataclass(frozen=True)
class Verdict:
    """Tie the study to an order or a patient (``target`` is the id of its resource), let it be, or take all back."""

    kind: Kind
    target: str = ""


def read_verdict(body: Any) -> Verdict:
    """``{order: id}``, ``{patient: id}``, ``{dismiss: true}`` or ``{undo: true}``; VerdictRefused for anything else."""
    if not isinstance(body, dict) or len(body) != 1:
        raise VerdictRefused("say-one-of-order-patient-dismiss-undo")
    kind, target = next(iter(body.items()))
    if kind in ("order", "patient") and isinstance(target, str) and 0 < len(target) <= 64:
        return Verdict(kind, target.removeprefix("ServiceRequest/").removeprefix("Patient/"))
    if kind in ("dismiss", "undo") and target is True:
        return Verdict(kind)
    raise VerdictRefused("say-one-of-order-patient-dismiss-undo")
