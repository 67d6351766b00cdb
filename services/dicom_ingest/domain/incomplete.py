"""Requests that come without a data set: which need none, and what is said of the others (PS3.7 annex C)."""

from services.dicom_ingest.domain import command as dimse
from services.dicom_ingest.domain.commitment import INVALID_ARGUMENT
from services.dicom_ingest.domain.negotiation import COMMITMENT, STEPS, VERIFICATION
from services.dicom_ingest.domain.step import MISSING_ATTRIBUTE


def status_without_data(field: int, abstract_syntax: str) -> int:
    """The status for a request with this Command Field in a context for this SOP class."""
    if field == dimse.C_ECHO and abstract_syntax == VERIFICATION:
        return dimse.SUCCESS
    if field in (dimse.N_CREATE, dimse.N_SET) and abstract_syntax == STEPS:
        return MISSING_ATTRIBUTE
    if field == dimse.N_ACTION and abstract_syntax == COMMITMENT:
        return INVALID_ARGUMENT
    return dimse.CANNOT_UNDERSTAND if field == dimse.C_STORE else dimse.UNRECOGNIZED_OPERATION
