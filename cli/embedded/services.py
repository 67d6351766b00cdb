"""The services of an embedded site: one process each, configured by its environment alone."""

import sys

from cli.embedded.ports import SERVICES, Ports
from cli.embedded.servers import Process
from cli.site import Site

#: Seconds after which a study counts as complete here, where people watch; a hospital leaves the default.
_STUDY_QUIET = 3
#: Seconds after which a proof is made anew here; a hospital leaves the default of weeks.
_REPROVE_AFTER = 900


def environment(site: Site, ports: Ports, service: str) -> dict[str, str]:
    """Every setting that ``service`` gets from the embedded site, by its environment name."""
    data = site.data.resolve()
    stores = site.stores.resolve()
    values = {
        "NATS_URL": f"nats://127.0.0.1:{ports.nats}",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_PORT": ports.services[service],
        "SITE_KEY_FILE": site.site_key.resolve(),
        "TRACE_FILE": site.traces.resolve() / f"{service}.jsonl",
        "DATABASE_URL": f"sqlite:///{site.databases.resolve() / service}.sqlite3",
        "LANDING_URL": f"file://{stores / 'landing'}",
        "DEID_URL": f"file://{stores / 'deid'}",
        "SEALED_URL": f"file://{stores / 'sealed'}",
        "KEYS_URL": f"file://{stores / 'keys'}",
        "SUMMARIES_URL": f"file://{stores / 'summaries'}",
        "TARGETS_FILE": site.targets.resolve(),
        "DESTINATIONS_FILE": site.destinations.resolve(),
        "POLICY_FILE": site.policy.resolve(),
        "KEK_DIR": site.keks.resolve(),
        "PROJECT_KEY_DIR": site.secrets.resolve() / "projects",
        "WORK_DIR": data / "work",
        "SPOOL_DIR": site.spool.resolve(),
        "DICOM_HOST": "127.0.0.1",
        "DICOM_PORT": ports.dicom,
        "MLLP_HOST": "127.0.0.1",
        "MLLP_PORT": ports.mllp,
        "STUDY_QUIET": _STUDY_QUIET,
        "REPROVE_AFTER": _REPROVE_AFTER,
    }
    named = {f"CAUSEWAY_{key}": str(value) for key, value in values.items()}
    return {**named, "CAUSEWAY_DATA": str(data), "PYTHONUNBUFFERED": "1"}


def services(site: Site, ports: Ports) -> tuple[Process, ...]:
    """Every service as a process of its own."""
    return tuple(
        Process(
            name,
            (sys.executable, "-m", "shared.service", f"services.{name}.app:build"),
            environment(site, ports, name),
        )
        for name in SERVICES
    )


def router(site: Site, ports: Ports) -> Process:
    """The one HTTP endpoint, in front of the services' own."""
    command = (sys.executable, "-m", "cli.embedded.router", str(site.data.resolve()), str(ports.http))
    return Process("http", command)
