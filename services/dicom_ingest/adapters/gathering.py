"""What pynetdicom puts together of fragments: in the order in which they may come, and never more than a bound.

It looks at neither (PS3.7 section 6.3.1, PS3.8 annex E): it takes data before a command and in any context.
"""

from collections.abc import Callable, Container
from typing import Any

from pynetdicom.pdu_primitives import P_DATA

from services.dicom_ingest.adapters.pdus import BadPdu
from services.dicom_ingest.domain import command as dimse
from services.dicom_ingest.domain.command import MalformedCommand
from services.dicom_ingest.domain.commitment import LONGEST_REQUEST


class FragmentOrder:
    """Sees every fragment of an association before anybody takes it."""

    def __init__(self) -> None:
        self._command = bytearray()
        self._is_in_command = False
        self._awaited: int | None = None

    def see(self, context_id: int, fragment: bytes, contexts: Container[int]) -> None:
        """A message control header and what follows it (PS3.8 annex E.2); BadPdu when it may not come now.

        ``contexts`` are the ids of those that were accepted.
        """
        if context_id not in contexts:
            raise BadPdu("unknown-context", 6)
        is_command, is_last = fragment[0] & 1, fragment[0] & 2
        if is_command:
            self._see_command(context_id, fragment[1:], is_last=bool(is_last))
        elif context_id != self._awaited:
            raise BadPdu("stray-data", 6)
        elif is_last:
            self._awaited = None

    def _see_command(self, context_id: int, piece: bytes, *, is_last: bool) -> None:
        if self._awaited is not None or len(self._command) + len(piece) > dimse.MAX_COMMAND:
            raise BadPdu("command-in-command", 6)
        self._command += piece
        self._is_in_command = not is_last
        if not is_last:
            return
        try:
            request = dimse.parse(bytes(self._command))
        except MalformedCommand:
            raise BadPdu("malformed-command", 6) from None
        self._command.clear()
        self._awaited = context_id if request.has_data_set else None

    @property
    def is_between(self) -> bool:
        """Whether what was seen last is the end of a message."""
        return not self._is_in_command and self._awaited is None


class Gathering:
    """In place of the ``receive_primitive`` of a reactor's DIMSE provider."""

    def __init__(self, reactor: Any, finish: Callable[[], object]) -> None:
        """``finish`` is called when a message has come whole."""
        self._reactor = reactor
        self._order = FragmentOrder()
        self._gather = reactor.dimse.receive_primitive
        self._is_over = False
        self._finish = finish

    def take(self, primitive: P_DATA) -> None:
        """Hand the fragments on; A-ABORT when they are no message. The reactor ends without a word if this raises.

        What came behind such fragments, before the reactor has aborted, is taken no more.
        """
        try:
            for context_id, fragment in primitive.presentation_data_value_list:
                if not self._is_over:
                    self._order.see(context_id, fragment, self._reactor._accepted_cx)
                    self._pass_on(context_id, fragment)
        except Exception:
            # Ours, or whatever pynetdicom and pydicom stumble over: their texts may hold what a peer wrote.
            self._is_over = True
            self._reactor.dul.event_queue.put("Evt19")

    def _pass_on(self, context_id: int, fragment: bytes) -> None:
        """One at a time: of a PDU pynetdicom drops what stands behind the end of a message."""
        piece = P_DATA()
        piece.presentation_data_value_list.append((context_id, self._shortened(fragment)))
        self._gather(piece)
        # Of a message that it cannot read pynetdicom says Evt19 itself, and goes on with it when more comes.
        self._is_over = self._order.is_between and self._reactor.dimse.message is not None
        if self._order.is_between and not self._is_over:
            self._finish()

    def _shortened(self, fragment: bytes) -> bytes:
        """Of data that is gathered in memory no more than shows that it is too long; a file looks itself."""
        message = self._reactor.dimse.message
        if fragment[0] & 1 or message is None:
            return fragment
        if message._data_set_file is not None:
            message._data_set_file.holds(str(message.command_set.AffectedSOPClassUID))
            return fragment
        return fragment[: 1 + max(LONGEST_REQUEST + 1 - message.data_set.tell(), 0)]
