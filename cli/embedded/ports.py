"""One scheme for every port of an embedded site.

=============== ================= ==================
endpoint        with base N       without a base
=============== ================= ==================
DICOM           N                 11112
MLLP            N + 1             2575
HTTP            N + 2             8080
NATS, monitor   N + 3, N + 4      18103, 18104
receivers' HTTP N + 5 … N + 9     18105 … 18109
cloud-a         N + 10 … N + 17   18110 … 18117
cloud-b         N + 20 … N + 27   18120 … 18127
services' HTTP  N + 30 …          18130 …
=============== ================= ==================

Receivers are further processes of ``dicom_ingest`` at the one DICOM port; the first is among the services.
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
#: The process whose port may be shared, and how many may: as many further HTTP ports are left in the scheme.
RECEIVER = "dicom_ingest"
MOST_RECEIVERS = 6


@dataclass(frozen=True)
class Ports:
    """The ports of one site."""

    dicom: int
    mllp: int
    http: int
    nats: int
    nats_monitor: int
    clouds: dict[str, tuple[int, ...]]
    #: HTTP by process: each service, and the further processes of the one that has several.
    services: dict[str, int]

    @classmethod
    def from_base(cls, base: int | None, receivers: int = 1) -> "Ports":
        """The scheme above; ValueError for a base that leaves the range of TCP ports, and for too many receivers."""
        if base is not None and not 1024 <= base <= 65535 - _SPAN:
            raise ValueError(f"--port-base must lie between 1024 and {65535 - _SPAN}")
        if not 1 <= receivers <= MOST_RECEIVERS:
            raise ValueError(f"--dicom-processes must lie between 1 and {MOST_RECEIVERS}")
        inner = _INTERNAL_BASE if base is None else base
        front = _WELL_KNOWN if base is None else {"dicom": base, "mllp": base + 1, "http": base + 2}
        return cls(
            **front,
            nats=inner + 3,
            nats_monitor=inner + 4,
            clouds={name: tuple(range(inner + 10 * n, inner + 10 * n + 8)) for n, name in enumerate(CLOUDS, 1)},
            services={name: inner + 30 + n for n, name in enumerate(SERVICES)}
            | {f"{RECEIVER}-{n}": inner + 3 + n for n in range(2, receivers + 1)},
        )

    @property
    def receivers(self) -> int:
        """How many processes take DICOM."""
        return sum(service_of(process) == RECEIVER for process in self.services)

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


def service_of(process: str) -> str:
    """The service that a process runs: ``dicom_ingest`` for ``dicom_ingest-2``."""
    return process.partition("-")[0]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_base(lowest: int = 20000) -> int:
    """A base from ``lowest`` on whose ports are all free now, for a demonstration beside other sites."""
    for base in range(lowest, 32000, _SPAN):
        if not Ports.from_base(base).taken():
            return base
    raise RuntimeError("no free range of ports on this machine")
