"""``destinations.yaml``, and what sends to whom it names."""

from collections.abc import Mapping
from pathlib import Path

from services.forwarding.adapters.converting import ConvertingSender
from services.forwarding.adapters.decoders import Bounds, Decoder
from services.forwarding.adapters.dicom import DicomSender
from services.forwarding.adapters.stow import StowSender
from services.forwarding.domain.destinations import Destination
from services.forwarding.domain.destinations_file import parse_destinations
from services.forwarding.ports.destination import Sender


def load_destinations(path: Path) -> Mapping[str, Destination]:
    """The destinations by name, none without the file; DocumentRefused."""
    return parse_destinations(path.read_text() if path.exists() else "")


def open_sender(destination: Destination, bounds: Bounds) -> Sender:
    """What sends to ``destination``, in another syntax, made within ``bounds``, where it has to."""
    sender = DicomSender(destination) if destination.kind == "dicom" else StowSender(destination)
    return ConvertingSender(sender, Decoder(bounds), destination)
