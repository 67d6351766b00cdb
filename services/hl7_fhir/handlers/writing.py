"""What happens when a FHIR client writes, where a site lets it."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.routing import BaseRoute

from services.hl7_fhir.handlers.asking import Answer


@dataclass(frozen=True)
class Writing:
    """Create, update and transactions."""

    def routes(self, guarded: Callable[[Answer], Answer]) -> list[BaseRoute]:
        """None yet."""
        return []
