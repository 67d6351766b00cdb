"""What dicom_ingest needs from outside, in its own words."""

from services.dicom_ingest.ports.landing import Describer, Description, Farewells, Publisher, SpooledBatch
from services.dicom_ingest.ports.reception import How, Incoming, Receiver
from services.dicom_ingest.ports.spool import Recording, Room, Spool, SpoolRefused

__all__ = [
    "Describer",
    "Description",
    "Farewells",
    "How",
    "Incoming",
    "Publisher",
    "Receiver",
    "Recording",
    "Room",
    "Spool",
    "SpoolRefused",
    "SpooledBatch",
]
