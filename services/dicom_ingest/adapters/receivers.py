"""The receivers that can be chosen."""

from pathlib import Path
from typing import Literal

from services.dicom_ingest.adapters.association import Association
from services.dicom_ingest.adapters.listener import Attend


def receiver(name: Literal["fast", "standard"], folder: Path) -> Attend:
    """What attends to connections; ``folder`` is where the standard one keeps a data set while it comes."""
    if name == "fast":
        return Association
    from services.dicom_ingest.adapters import standard

    standard.configure(folder)
    return standard.StandardAssociation
