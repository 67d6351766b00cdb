"""What settings of a port for TLS must have together."""

from pathlib import Path


def check_tls(prefix: str, port: int | None, files: tuple[Path | None, Path | None, Path | None], mutual: bool) -> None:
    """ValueError unless there is all that ``port`` needs: a port that seems to be mutual and is not would be worse
    than none. ``files`` are certificate, key and who signs those of clients; ``prefix`` begins the settings' names.
    """
    if port is None:
        return
    certificate, key, client_ca = files
    if certificate is None or key is None:
        raise ValueError(f"{prefix}_PORT needs {prefix}_CERT and {prefix}_KEY")
    if mutual and client_ca is None:
        raise ValueError(f"mutual TLS needs {prefix}_CLIENT_CA; or set {prefix}_MUTUAL=false")
