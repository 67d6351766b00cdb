"""``destinations.yaml``, and what sends to whom it names."""

from collections.abc import Mapping
from pathlib import Path

from services.forwarding.adapters.dicom import DicomSender
from services.forwarding.adapters.stow import StowSender
from services.forwarding.domain.destinations import Destination
from services.forwarding.domain.destinations_file import parse_destinations


def load_destinations(path: Path) -> Mapping[str, Destination]:
    """The destinations by name, none without the file; DestinationsRefused."""
    return parse_destinations(path.read_text() if path.exists() else "")


def open_sender(destination: Destination) -> DicomSender | StowSender:
    """What sends to ``destination``."""
    return DicomSender(destination) if destination.kind == "dicom" else StowSender(destination)
