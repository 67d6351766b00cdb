"""Where notifications may be sent: what the operator has listed, and nothing else, since they tell of patients."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}
#: Visible ASCII without what servers and proxies read in different ways.
_PLAIN = re.compile(r"[A-Za-z0-9:/?&=._~!$'()*+,;@\[\]-]+|%(?!2[eEfF]|5[cC])[0-9A-Fa-f]{2}")


@dataclass(frozen=True)
class Endpoint:
    """An http or https URL in its parts (RFC 3986), the port always named."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def is_private(self) -> bool:
        """Whether what is sent is encrypted or stays on this machine."""
        if self.scheme == "https" or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def lies_below(self, listed: "Endpoint") -> bool:
        """The same server, and a path that begins with the listed one at a segment's end."""
        if (self.scheme, self.host, self.port) != (listed.scheme, listed.host, listed.port):
            return False
        prefix = listed.path.rstrip("/")
        return self.path == prefix or self.path.startswith(f"{prefix}/")


def parse(url: str) -> Endpoint | None:
    """The endpoint, None for what is no plain http(s) URL: with a user, a fragment, dots as segments, odd letters."""
    if len(url) > 2000 or "".join(part.group() for part in _PLAIN.finditer(url)) != url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    if not port or not parts.hostname or "@" in parts.netloc or ".." in parts.path:
        return None
    return Endpoint(parts.scheme, parts.hostname.lower(), port, parts.path or "/")


def is_allowed(url: str, listed: Iterable[str]) -> bool:
    """Whether ``url`` lies below one of the URLs that the operator has listed."""
    asked = parse(url)
    return asked is not None and any(known is not None and asked.lies_below(known) for known in map(parse, listed))
