"""The services of an embedded site: a process each, or several, configured by their environment alone."""

import os
import sys

from cli.embedded.ports import Ports, service_of
from cli.embedded.servers import Process
from cli.site import Site

#: Seconds after which a study counts as complete here, where people watch; a hospital leaves the default.
_STUDY_QUIET = 3
#: Seconds after which a proof is made anew here; a hospital leaves the default of weeks.
_REPROVE_AFTER = 900
#: Of dicom_ingest, unless it is set: room that is left on the disk for each byte that waits in the spool.
_DISK_FACTOR = 2.0


def environment(site: Site, ports: Ports, process: str) -> dict[str, str]:
    """Every setting that ``process`` gets from the embedded site, by its environment name.

    Processes of one service differ in their HTTP port and their file of spans: what they keep, they share. A receiver
    knows what waits in its own spool alone, and so leaves room for as much in each of the others.
    """
    service = service_of(process)
    data = site.data.resolve()
    stores = site.stores.resolve()
    values = {
        "NATS_URL": f"nats://127.0.0.1:{ports.nats}",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_PORT": ports.services[process],
        "SITE_KEY_FILE": site.site_key.resolve(),
        "TRACE_FILE": site.traces.resolve() / f"{process}.jsonl",
        "DATABASE_URL": f"sqlite:///{site.databases.resolve() / service}.sqlite3",
        "LANDING_URL": f"file://{stores / 'landing'}",
        "DEID_URL": f"file://{stores / 'deid'}",
        "SEALED_URL": f"file://{stores / 'sealed'}",
        "KEYS_URL": f"file://{stores / 'keys'}",
        "SUMMARIES_URL": f"file://{stores / 'summaries'}",
        "TARGETS_FILE": site.targets.resolve(),
        "DESTINATIONS_FILE": site.destinations.resolve(),
        "SENDERS_FILE": site.senders.resolve(),
        "RECEIVERS_FILE": site.receivers.resolve(),
        "POLICY_FILE": site.policy.resolve(),
        "KEK_DIR": site.keks.resolve(),
        "PROFILE_DIR": os.environ.get("CAUSEWAY_PROFILE_DIR") or site.profiles.resolve(),
        "PROJECT_KEY_DIR": site.secrets.resolve() / "projects",
        "WORK_DIR": data / "work",
        "SPOOL_DIR": site.spool.resolve(),
        "DICOM_HOST": "127.0.0.1",
        "DICOM_PORT": ports.dicom,
        "DICOM_SHARED_PORT": ports.receivers > 1,
        "MLLP_HOST": "127.0.0.1",
        "MLLP_PORT": ports.mllp,
        "DICOMWEB_URL": f"http://127.0.0.1:{ports.http}/dicom-web",
        "STUDY_QUIET": _STUDY_QUIET,
        "REPROVE_AFTER": _REPROVE_AFTER,
    }
    if ports.receivers > 1:
        values["DISK_FACTOR"] = ports.receivers * float(os.environ.get("CAUSEWAY_DISK_FACTOR") or _DISK_FACTOR)
    named = {f"CAUSEWAY_{key}": str(value) for key, value in values.items()}
    return {**named, "CAUSEWAY_DATA": str(data), "PYTHONUNBUFFERED": "1"}


def services(site: Site, ports: Ports) -> tuple[Process, ...]:
    """Every service as a process of its own, and the further ones of the receiver."""
    return tuple(
        Process(
            name,
            (sys.executable, "-m", "shared.service", f"services.{service_of(name)}.app:build"),
            environment(site, ports, name),
        )
        for name in ports.services
    )


def router(site: Site, ports: Ports) -> Process:
    """The one HTTP endpoint, in front of the services' own."""
    command = (sys.executable, "-m", "cli.embedded.router", str(site.data.resolve()), str(ports.http))
    return Process("http", command)
