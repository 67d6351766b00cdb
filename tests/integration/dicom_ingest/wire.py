"""What no library sends: greetings with titles as they come, data sets byte by byte, messages that do not wait."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import A_ASSOCIATE_RQ, P_DATA_TF
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    P_DATA,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import build_context

from tests.integration.dicom_ingest.peers import with_verdict

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"


def associated(port: int, *contexts: tuple[str, str], ae_title: str = "PEER", **more: Any) -> Association:
    """An association with one presentation context for each SOP class and transfer syntax."""
    entity = AE(ae_title=ae_title)
    for abstract_syntax, transfer_syntax in contexts or ((CT, EXPLICIT),):
        entity.add_requested_context(abstract_syntax, transfer_syntax)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
    return with_verdict(lambda: entity.associate("127.0.0.1", port, ae_title="CAUSEWAY", **more))


def request(sop_class: str, uid: str, data: bytes, message_id: int = 1) -> C_STORE:
    """A C-STORE request with a data set of these bytes."""
    primitive = C_STORE()
    primitive.MessageID, primitive.Priority = message_id, 2
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = sop_class, uid
    primitive.DataSet = BytesIO(data)
    return primitive


def units(primitive: C_STORE, context_id: int) -> Iterator[P_DATA]:
    """The request in units of 16 KiB."""
    message = C_STORE_RQ()
    message.primitive_to_message(primitive)
    return message.encode_msg(context_id, 16_382)


def context_of(association: Association, sop_class: str, syntax: str = EXPLICIT) -> int:
    """The id of the accepted context for a SOP class in a transfer syntax."""
    found = (
        context.context_id
        for context in association.accepted_contexts
        if (context.abstract_syntax, context.transfer_syntax[0]) == (sop_class, syntax)
    )
    return int(next(found))


@contextmanager
def own_answers(association: Association) -> Iterator[None]:
    """While answers are ours to read: pynetdicom's own thread would take them for requests."""
    association._reactor_checkpoint.clear()
    while not association._is_paused:
        time.sleep(0.001)
    yield
    association._reactor_checkpoint.set()


def stores(association: Association, *asked: tuple[C_STORE, int]) -> list[tuple[int, int]]:
    """Send requests, each in its context, without waiting; message id and status of each answer."""
    with own_answers(association):
        for primitive, context_id in asked:
            association.dimse.send_msg(primitive, context_id)
        answers = [association.dimse.get_msg(block=True)[1] for _ in asked]
    return [(int(answer.MessageIDBeingRespondedTo), int(answer.Status)) for answer in answers]


def store(association: Association, uid: str, data: bytes, sop_class: str = CT, syntax: str = EXPLICIT) -> int:
    """Send a data set as it is; the status of the answer."""
    asked = request(sop_class, uid, data), context_of(association, sop_class, syntax)
    return stores(association, asked)[0][1]


def greeting(called: bytes, calling: bytes) -> bytes:
    """An A-ASSOCIATE-RQ for CT with these title fields, 16 bytes each."""
    longest, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    longest.maximum_length_received, implementation.implementation_class_uid = 16_382, "1.2.3"
    context = build_context(CT, EXPLICIT)
    context.context_id = 1
    asked = A_ASSOCIATE()
    asked.application_context_name = "1.2.840.10008.3.1.1.1"
    asked.calling_ae_title, asked.called_ae_title = "PEER", "ANY"
    asked.presentation_context_definition_list = [context]
    asked.user_information = [longest, implementation]
    plain = bytes(A_ASSOCIATE_RQ(asked).encode())
    return plain[:10] + called.ljust(16) + calling.ljust(16) + plain[42:]


def encoded(primitive: P_DATA) -> bytes:
    """The unit as it goes over the wire."""
    return bytes(P_DATA_TF(primitive).encode())


def unit(connection: socket.socket) -> tuple[int, bytes]:
    """Type and body of the next unit."""
    head = _exactly(connection, 6)
    return head[0], _exactly(connection, int.from_bytes(head[2:], "big"))


def _exactly(connection: socket.socket, count: int) -> bytes:
    taken = b""
    while len(taken) < count:
        piece = connection.recv(count - len(taken))
        if not piece:
            raise ConnectionError
        taken += piece
    return taken
