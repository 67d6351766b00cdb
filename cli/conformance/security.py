"""What a TLS handshake may end in, asked of the context that the receiver would use (PS3.15 sections B.12 and B.13)."""

import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path

from cli.conformance.markdown import code, table
from cli.setup.certificates import Authority
from shared.tls import TlsFiles, server_context


def suites() -> str:
    """Protocol versions and cipher suites of the TLS port."""
    context = _context()
    rows = sorted((each["protocol"].replace("TLSv", "TLS "), code(each["name"])) for each in context.get_ciphers())
    lowest = context.minimum_version.name.replace("TLSv", "TLS ").replace("_", ".")
    return f"Lowest version: {lowest}.\n\n{table(('version', 'cipher suite'), rows)}"


def _context() -> ssl.SSLContext:
    """The receiver's, with a certificate that is thrown away."""
    certificate, key = Authority.create("statement").issue("statement", ("localhost",))
    with tempfile.TemporaryDirectory() as folder:
        files = TlsFiles(Path(folder) / "certificate", Path(folder) / "key", None)
        files.certificate.write_bytes(certificate)
        files.key.write_bytes(key)
        return server_context(files, mutual=False)


PARTS: dict[str, Callable[[], str]] = {"tls": suites}
