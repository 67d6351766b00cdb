"""What pynetdicom gathers of PDUs that hold several messages, or one that it cannot read."""

from queue import Queue
from types import SimpleNamespace

import pytest
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.pdu_primitives import P_DATA

from services.dicom_ingest.adapters.gathering import Gathering
from tests.fuzz import wire

CONTEXT = 13


class Provider:
    """pynetdicom's DIMSE provider without an association around it."""

    def __init__(self) -> None:
        self.dul = SimpleNamespace(event_queue=Queue())
        self._accepted_cx = {CONTEXT: SimpleNamespace(transfer_syntax=[wire.EXPLICIT])}
        self.dimse = DIMSEServiceProvider.__new__(DIMSEServiceProvider)
        self.get_handlers = lambda _event: ()
        self._handlers: dict[object, object] = {}
        vars(self.dimse).update(_assoc=self, message=None, msg_queue=Queue(), cancel_req={})

    def heard(self) -> list[tuple[int, bytes]]:
        """Message ids and data sets of what was gathered."""
        return [(message.MessageID, message.ActionInformation.getvalue()) for _, message in self.dimse.msg_queue.queue]


@pytest.fixture
def provider() -> Provider:
    return Provider()


def request(message_id: int, data: bytes, **elements: bytes) -> list[wire.Value]:
    """An N-ACTION with its data set."""
    told = wire.action_elements(message_id) | {int(number[1:], 16): value for number, value in elements.items()}
    command = wire.fragments(CONTEXT, wire.command_set(told), 50, is_command=True)
    return command + wire.fragments(CONTEXT, data, 3, is_command=False)


def take(provider: Provider, values: list[wire.Value]) -> None:
    """All in one PDU."""
    primitive = P_DATA()
    for value in values:
        primitive.presentation_data_value_list.append((value.context, bytes([value.control]) + value.data))
    Gathering(provider, bool).take(primitive)


def test_several_messages_in_one_pdu_are_all_heard(provider: Provider) -> None:
    take(provider, request(1, b"first") + request(2, b"second"))
    assert provider.heard() == [(1, b"first"), (2, b"second")]


def test_nothing_is_taken_behind_data_in_another_context(provider: Provider) -> None:
    take(provider, [*request(1, b"first"), wire.Value(CONTEXT, 2, b"stray"), *request(2, b"second")])
    assert provider.heard() == [(1, b"first")]
    assert list(provider.dul.event_queue.queue) == ["Evt19"]


def test_nothing_is_taken_behind_a_message_that_pynetdicom_cannot_read(provider: Provider) -> None:
    """Neither as it is, nor as the end of the other one."""
    take(provider, request(1, b"first", x1001=b"1." * 40) + request(2, b"second"))
    assert provider.heard() == []
    assert list(provider.dul.event_queue.queue) == ["Evt19"]
