"""One scheme for every port of an embedded site.

=============== ================= ==================
endpoint        with base N       without a base
=============== ================= ==================
DICOM           N                 11112
MLLP            N + 1             2575
HTTP            N + 2             8080
NATS, monitor   N + 3, N + 4      18103, 18104
cloud-a         N + 10 … N + 17   18110 … 18117
cloud-b         N + 20 … N + 27   18120 … 18127
services' HTTP  N + 30 …          18130 …
=============== ================= ==================
"""

import socket
from dataclasses import dataclass

CLOUDS = ("cloud-a", "cloud-b")
SERVICES = (
    "dicom_ingest",
    "hl7_fhir",
    "tier_routing",
    "deid",
    "encryption",
    "replication",
    "verification",
    "catalog",
    "forwarding",
)

_WELL_KNOWN = {"dicom": 11112, "mllp": 2575, "http": 8080}
_INTERNAL_BASE = 18100
_SPAN = 40


@dataclass(frozen=True)
class Ports:
    """The ports of one site."""

    dicom: int
    mllp: int
    http: int
    nats: int
    nats_monitor: int
    clouds: dict[str, tuple[int, ...]]
    services: dict[str, int]

    @classmethod
    def from_base(cls, base: int | None) -> "Ports":
        """The scheme above; ValueError for a base that leaves the range of TCP ports."""
        if base is not None and not 1024 <= base <= 65535 - _SPAN:
            raise ValueError(f"--port-base must lie between 1024 and {65535 - _SPAN}")
        inner = _INTERNAL_BASE if base is None else base
        front = _WELL_KNOWN if base is None else {"dicom": base, "mllp": base + 1, "http": base + 2}
        return cls(
            **front,
            nats=inner + 3,
            nats_monitor=inner + 4,
            clouds={name: tuple(range(inner + 10 * n, inner + 10 * n + 8)) for n, name in enumerate(CLOUDS, 1)},
            services={name: inner + 30 + n for n, name in enumerate(SERVICES)},
        )

    def all(self) -> tuple[int, ...]:
        """Every port that the site binds."""
        clouds = tuple(port for ports in self.clouds.values() for port in ports)
        front = (self.dicom, self.mllp, self.http, self.nats, self.nats_monitor)
        return front + clouds + tuple(self.services.values())

    def endpoints(self) -> dict[str, str]:
        """Where the outside world reaches the site, by name."""
        return {
            "dicom": f"127.0.0.1:{self.dicom}",
            "mllp": f"127.0.0.1:{self.mllp}",
            "http": f"http://127.0.0.1:{self.http}",
            "nats": f"nats://127.0.0.1:{self.nats}",
            "nats_monitor": f"http://127.0.0.1:{self.nats_monitor}",
        }

    def taken(self) -> tuple[int, ...]:
        """Those that another program holds on loopback already."""
        return tuple(port for port in self.all() if not _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_base() -> int:
    """A base whose ports are all free now, for a demonstration beside other sites."""
    for base in range(20000, 32000, _SPAN):
        if not Ports.from_base(base).taken():
            return base
    raise RuntimeError("no free range of ports on this machine")
