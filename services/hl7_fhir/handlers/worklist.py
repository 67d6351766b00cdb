"""What happens when a modality asks for its worklist."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from services.hl7_fhir.domain.worklist import dimse
from services.hl7_fhir.domain.worklist.dicom_set import BadDataSet
from services.hl7_fhir.domain.worklist.query import BadQuery, Query, read_query
from services.hl7_fhir.ports.worklist import Answers, WorklistPages
from shared.errors import CausewayError, answer
from shared.observability import logger, metrics

log = logger("causeway.worklist")

#: The first page is small, so that whoever asks for a day has it in one go and nobody else waits long.
_PAGE = 128


@dataclass(frozen=True)
class Worklist:
    """Answers C-FIND (PS3.4 annex K); ``most`` is how many answers one query may have."""

    pages: WorklistPages
    most: int

    async def find(self, identifier: bytes, caller: str, *, explicit: bool, combined: bool) -> AsyncIterator[Answers]:
        """Pages of identifiers with the status of each, and last a status alone."""
        told = Tally()
        try:
            query = read_query(identifier, explicit=explicit, combined=combined)
            async for page in self._matches(query, caller, explicit, told):
                yield page
        except BadQuery as error:
            told.end(dimse.DOES_NOT_MATCH, str(error))
        except BadDataSet as error:
            told.end(dimse.UNABLE, str(error))
        except CausewayError as error:
            told.end(answer(error).dicom, error.reason)
        except Exception as error:
            log.error("worklist-query-failed", exc_info=error)
            told.end(dimse.UNABLE, "internal-error")
        metrics().count("causeway_worklist_queries_total", outcome=f"{told.status:04x}")
        log.info("worklist-queried", count=told.count, status=f"x{told.status:04x}", reason=told.comment or None)
        yield Answers(told.status, (), told.comment)

    async def _matches(self, query: Query, caller: str, explicit: bool, told: "Tally") -> AsyncIterator[Answers]:
        after: tuple[str, str] | None = None
        pending = dimse.PENDING_PARTIAL if query.partial else dimse.PENDING
        while True:
            page = await self.pages.page(query, caller=caller, explicit=explicit, after=after, count=_PAGE)
            room = self.most - told.count
            told.count += min(room, len(page.answers))
            if page.answers:
                yield Answers(pending, page.answers[:room])
            if len(page.answers) > room:
                told.end(dimse.OUT_OF_RESOURCES, "too-many-matches")
                return
            if page.after is None:
                return
            after = page.after


@dataclass
class Tally:
    """How a query went."""

    count: int = 0
    status: int = dimse.SUCCESS
    comment: str = field(default="")

    def end(self, status: int, comment: str) -> None:
        """Note why it ended otherwise than well."""
        self.status, self.comment = status, comment
