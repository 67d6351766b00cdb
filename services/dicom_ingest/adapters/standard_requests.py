"""Requests that pynetdicom leaves without an answer, as they lack what they must have (PS3.7 sections 9.1 and 10.1)."""

from typing import Any

from pynetdicom.dimse_primitives import C_ECHO, C_STORE, N_ACTION
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.service_class_n import StorageCommitmentServiceClass

from services.dicom_ingest.domain import command as dimse
from services.dicom_ingest.domain.incomplete import status_without_data

#: The Command Field of requests that may be answered with more than that nobody knows them.
_FIELDS: dict[type, int] = {C_ECHO: dimse.C_ECHO, C_STORE: dimse.C_STORE}


def serve(reactor: Any, request: Any, context: Any) -> bool:
    """Whether the request was answered, as the fast receiver answers it; what is complete is pynetdicom's to serve."""
    if context is None or request.MessageIDBeingRespondedTo is not None:
        return False
    if isinstance(request, C_STORE):
        request.Priority = request.Priority or 0
        if request.is_valid_request:
            StorageServiceClass(reactor).SCP(request, context)
            return True
    if isinstance(request, N_ACTION):
        StorageCommitmentServiceClass(reactor).SCP(request, context)
        return True
    if request.is_valid_request:
        return False
    response = type(request)()
    response.MessageIDBeingRespondedTo = request.MessageID
    response.Status = status_without_data(_FIELDS.get(type(request), 0), str(context.abstract_syntax))
    reactor.dimse.send_msg(response, context.context_id)
    return True
