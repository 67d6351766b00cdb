"""N-CREATE and N-SET on pynetdicom, answered as the fast receiver answers them (PS3.7 sections 10.1.3 and 10.1.5)."""

from collections.abc import Callable
from typing import Any

from pynetdicom.dimse_primitives import N_CREATE, N_SET

from services.dicom_ingest.domain import command as dimse
from services.dicom_ingest.domain.command import Command, InstanceRefused
from services.dicom_ingest.domain.negotiation import STEPS
from services.dicom_ingest.domain.step import MISSING_ATTRIBUTE, named
from services.dicom_ingest.ports import Incoming
from shared.errors import CausewayError, answer

#: Begins to take a report: the command, the abstract syntax and the transfer syntax of its context.
Begin = Callable[[Command, str, str], Incoming]


def is_report(message: Any, context: Any) -> bool:
    """Whether a primitive is a request on a procedure step."""
    is_request = isinstance(message, N_CREATE | N_SET) and message.MessageIDBeingRespondedTo is None
    return is_request and context is not None and str(context.abstract_syntax) == STEPS


def respond(message: Any, context: Any, begin: Begin) -> Any:
    """Take the report and make the answer."""
    command = _command(message)
    response = type(message)()
    response.MessageIDBeingRespondedTo = command.message_id
    response.AffectedSOPClassUID = command.sop_class or None
    response.AffectedSOPInstanceUID = command.sop_instance or None
    response.Status = dimse.SUCCESS
    try:
        _take(message, command, lambda: begin(command, str(context.abstract_syntax), _syntax(context)))
    except InstanceRefused as error:
        response.Status, response.ErrorComment = error.status, error.comment
        if error.error_id:
            response.ErrorID = error.error_id
    except CausewayError as error:
        response.Status, response.ErrorComment = answer(error).dicom, error.reason
    return response


def _command(message: Any) -> Command:
    is_new = isinstance(message, N_CREATE)
    sop_class = message.AffectedSOPClassUID if is_new else message.RequestedSOPClassUID
    sop_instance = message.AffectedSOPInstanceUID if is_new else message.RequestedSOPInstanceUID
    field = dimse.N_CREATE if is_new else dimse.N_SET
    return named(Command(field, message.MessageID or 0, str(sop_class or ""), str(sop_instance or ""), True))


def _take(message: Any, command: Command, begin: Callable[[], Incoming]) -> None:
    data_set = message.AttributeList if command.field == dimse.N_CREATE else message.ModificationList
    if data_set is None:
        raise InstanceRefused("missing-attribute", MISSING_ATTRIBUTE)
    incoming = begin()
    incoming.write(memoryview(data_set.getvalue()))
    incoming.commit()


def _syntax(context: Any) -> str:
    syntax = context.transfer_syntax
    return str(syntax[0] if isinstance(syntax, list) else syntax)
