"""A RIS that is told by N-CREATE and N-SET: an association for each notice."""

from services.forwarding.adapters.association import Association
from services.forwarding.domain.answers import DestinationAway, of_context
from services.forwarding.domain.destinations import Destination
from services.forwarding.domain.notices import CLASSES, IMPLICIT, SYNTAXES, Answer, Notice, encoded_as
from shared.messaging.threads import in_thread


class NoticeSender:
    """The data set goes out as it came where the RIS takes that, else encoded anew (PS3.4 sections F.7 and R.3)."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination

    async def send(self, notice: Notice) -> Answer:
        return await in_thread(self._send, notice)

    async def probe(self) -> None:
        """Returns when an association is accepted; DestinationAway."""
        pair = CLASSES[self._destination.kind], IMPLICIT
        await in_thread(lambda: Association(self._destination, [pair]).release())

    async def close(self) -> None:
        """There is nothing open between notices."""

    def _send(self, notice: Notice) -> Answer:
        own_first = dict.fromkeys((notice.transfer_syntax, *SYNTAXES))
        pairs = [(notice.sop_class, syntax) for syntax in own_first]
        association = Association(self._destination, pairs)
        try:
            taken = next((pair for pair in pairs if association.result(pair) == 0), None)
            if taken is None:
                # It speaks of the RIS and not of the notice: whoever turns the service on there gets everything.
                raise DestinationAway(of_context(association.result(pairs[0]) or 0).reason or "context-refused")
            data_set = encoded_as(notice, taken[1])
            told = association.notify(taken, notice.operation, notice.sop_instance, data_set)
        except BaseException:
            association.close()
            raise
        association.release()
        return Answer(told.status or 0, told.error_id)
