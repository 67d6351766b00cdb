"""The receivers that can be chosen."""

from pathlib import Path

from services.dicom_ingest.adapters.association import Association
from services.dicom_ingest.adapters.listener import Attend
from services.dicom_ingest.config import Settings
from services.dicom_ingest.ports import Room


def receiver(settings: Settings, folder: Path, room: Room) -> Attend:
    """What attends to connections; ``folder`` is where the standard one keeps a data set while it comes."""
    if settings.dicom_receiver == "fast":
        return Association
    from services.dicom_ingest.adapters import standard

    standard.configure(folder, room, settings.largest)
    return standard.StandardAssociation
