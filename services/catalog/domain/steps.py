"""What a report on a procedure step means for the index."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reported:
    """A step after its ``number``-th report; ``instances`` are None where the report says nothing of them."""

    step_ref: str
    number: int
    state: str
    studies: tuple[str, ...]
    instances: tuple[str, ...] | None
