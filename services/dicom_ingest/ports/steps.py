"""What performed procedure steps need: a place that survives and that every process of a host sees."""

from contextlib import AbstractContextManager
from typing import Protocol

from services.dicom_ingest.domain.step import Step
from services.dicom_ingest.domain.step_report import Report


class StepReports(Protocol):
    """Steps and those of their reports that the bus has not heard of. Blocking."""

    def turn(self) -> AbstractContextManager[None]:
        """Whoever is inside is alone in reading and keeping, of all processes and threads."""
        ...

    def known(self, step_ref: str) -> Step | None:
        """The step after its newest report."""
        ...

    def keep(self, report: Report) -> None:
        """Return when the report is durable; OSError."""
        ...

    def telling(self) -> AbstractContextManager[bool]:
        """Whether the process inside is the one that tells the bus."""
        ...

    def waiting(self) -> list[Report]:
        """Some of what the bus has not heard of, in the order of each step."""
        ...

    def told(self, report: Report) -> None:
        """The bus has heard of the report."""
        ...

    def old(self, age: float) -> list[str]:
        """The steps on which nothing was reported for ``age`` seconds."""
        ...

    def forget(self, step_ref: str) -> None:
        """Let go of a step."""
        ...
