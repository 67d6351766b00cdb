"""STOW-RS, put together from the settings."""

from functools import partial

from services.dicom_ingest.adapters.multipart import MultipartReader
from services.dicom_ingest.config import Settings
from services.dicom_ingest.domain.stow import StowRules


def stow_rules(settings: Settings) -> StowRules:
    """What a store request must keep to."""
    return StowRules(
        max_requests=settings.stow_max_requests,
        max_parts=settings.stow_max_parts,
        max_request=settings.stow_max_request,
        idle=settings.idle_timeout,
        min_throughput=settings.min_throughput,
        grace=settings.drain_grace,
    )


def part_reader(settings: Settings) -> partial[MultipartReader]:
    """Makes the reader of a body from its boundary and a sink."""
    return partial(MultipartReader, max_header=settings.stow_max_header)
