"""What a sender tells operators: how many messages, and whether its receiver is there."""

from shared.observability import logger, metrics

log = logger("hl7_fhir.sending")


class Report:
    """Counts and log lines of the receiver ``name``."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._away: str | None = None

    def count(self, outcome: str) -> None:
        """What became of a message or of a try: ``delivered``, ``again``, ``aside``."""
        metrics().count("causeway_hl7_outgoing_total", target=self._name, outcome=outcome)

    def away(self, reason: str | None) -> None:
        """The receiver does not take what it is sent, or (None) it does; told when that changes."""
        if reason == self._away:
            return
        self._away = reason
        metrics().set("causeway_circuit_open", reason is not None, target=self._name)
        log.warning("hl7-receiver-away" if reason else "hl7-receiver-back", target=self._name, reason=reason)

    def set_aside(self, kind: str, ref: str, reason: str) -> None:
        """A person is to look at a message."""
        self.count("aside")
        log.error("hl7-message-set-aside", target=self._name, kind=kind, ref=ref, reason=reason)

    def unavailable(self, reason: str) -> None:
        """The queue cannot be asked."""
        log.warning("hl7-queue-unavailable", target=self._name, reason=reason)
