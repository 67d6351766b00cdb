"""Names on the bus that several sides must agree on."""


def durable(service: str, subject: str, target: str | None = None) -> str:
    """The durable consumer of ``service`` for ``subject``: ``<service>_<entity>_<fact>``, and ``_<target>`` if any.

    The wildcard of the dead letters makes ``<service>_deadletter``.
    """
    tokens = subject.split(".")
    what = "_".join(tokens[1:3]) if len(tokens) >= 3 else tokens[0]
    return f"{service}_{what}" + (f"_{target}" if target else "")
