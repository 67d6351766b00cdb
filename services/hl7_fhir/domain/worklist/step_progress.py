"""How far an order is by its scheduled steps, as receivers are told it (ORC-5, table 0038)."""

from collections.abc import Iterable

from services.hl7_fhir.domain.outgoing import telling
from services.hl7_fhir.domain.worklist.step_state import State


def progress(steps: Iterable[State]) -> telling.State | None:
    """In progress once a step was begun, completed or discontinued once none is left; None when there is no news.

    Steps that the RIS cancelled do not count: it knows of them.
    """
    states = {each for each in steps if each is not State.CANCELLED}
    if not states & {State.STARTED, State.DEPARTED, State.COMPLETED, State.DISCONTINUED}:
        return None
    if not states <= {State.COMPLETED, State.DISCONTINUED}:
        return telling.State.IN_PROGRESS
    return telling.State.COMPLETED if State.COMPLETED in states else telling.State.DISCONTINUED
