"""The registry of senders as it is now, and how the messages of each are read."""

from pathlib import Path
from typing import Protocol

from services.hl7_fhir.domain.clinical.decision import Reader
from services.hl7_fhir.domain.intake.arrival import Name
from services.hl7_fhir.domain.intake.senders import Origin, Sender, Senders
from services.hl7_fhir.domain.intake.senders_file import read_senders
from shared.identity import SiteKey
from shared.watched import Watched


class CurrentSenders(Protocol):
    """The registry, which may change."""

    def get(self) -> Senders:
        """As it is now."""
        ...


class Anybody:
    """Where there is no registry everybody may send, and is read as the settings say."""

    def __init__(self, others: Sender) -> None:
        self._senders = Senders(others)

    def get(self) -> Senders:
        """No one in particular."""
        return self._senders


def senders_file(path: Path | None, others: Sender) -> CurrentSenders:
    """The registry in a file that is read again when it changes; DocumentRefused, OSError at first."""
    if path is None:
        return Anybody(others)
    return Watched("senders", [path], lambda: read_senders(path.read_text(), path.name, others))


class Registry:
    """Who sends, and the reader of each."""

    def __init__(self, senders: CurrentSenders, others: Sender, site_key: SiteKey) -> None:
        self._senders = senders
        self._others = others
        self._site_key = site_key
        self._readers: dict[str, tuple[Sender, Reader]] = {}

    def who(self, name: Name, origin: Origin) -> Sender | None:
        """The sender of a message; None when it is nobody who may send."""
        return self._senders.get().who(name.application, name.institution, origin)

    def named(self, name: str) -> Sender:
        """The sender called ``name`` as now registered; one that is not any more is read as strangers are."""
        return self._senders.get().named(name) or self._others

    def reader(self, origin: str) -> Reader:
        """The reader for messages of the sender called ``origin``."""
        sender = self.named(origin)
        known = self._readers.get(sender.name)
        if known is None or known[0] is not sender:
            known = self._readers[sender.name] = (sender, Reader(sender.site, self._site_key, sender.charset))
        return known[1]
