"""docker-compose.yml: every service, sound settings, nothing secret, nobody as root, loopback alone from outside."""

import json
import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cli.embedded.router import ROUTES, STORES, service_of
from cli.setup import vault
from cli.site import Site
from services.tier_routing.adapters.targets import load_policy
from shared.storage.targets import load_targets
from tests.support.certificates import Authority
from tests.unit.deployment.house import ROOT, SERVICES, container, settings_of, variables_of

TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
CONTAINERS: dict[str, dict[str, Any]] = COMPOSE["services"]
#: What shares another's network and so has none of its own, and what needs no network at all.
WITHOUT_NETWORK = {"setup", "cloud-a-rules", "cloud-b-rules"}


def default(text: str) -> str:
    """``text`` with the defaults of its variables; what stands instead of one that is set goes."""
    return re.sub(r"\$\{\w+:\+[^}]*\}", "", re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text))


def mounts(name: str) -> dict[str, tuple[str, bool]]:
    """Of one container: volume (with its folder), and whether it can write there, by where it is mounted."""
    found = {}
    for volume in CONTAINERS[name].get("volumes", ()):
        if isinstance(volume, str):
            source, target, *mode = volume.split(":")
            found[target] = (source, mode != ["ro"])
        else:
            folder = f"{volume['source']}/{volume['volume']['subpath']}"
            found[volume["target"]] = (folder, not volume.get("read_only"))
    return found


def test_it_is_what_the_compose_specification_allows() -> None:
    package = find_spec("check_jsonschema")
    assert package
    assert package.origin
    schema = Path(package.origin).parent / "builtin_schemas" / "vendor" / "compose-spec.json"
    jsonschema.Draft7Validator(json.loads(schema.read_text())).validate(COMPOSE)


def test_docker_compose_itself_accepts_it() -> None:
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("no docker client with the compose plugin")
    everything = [docker, "compose", "--profile", "*", "config", "--quiet"]
    told = subprocess.run(everything, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_there_from_the_one_dockerfile(service: str) -> None:
    found = CONTAINERS[container(service)]
    assert found["build"] == {"context": ".", "target": "service", "args": {"SERVICE": service}}
    assert found["depends_on"]["provision"] == {"condition": "service_completed_successfully"}


@pytest.mark.parametrize("service", SERVICES)
def test_every_variable_is_a_setting_of_its_service(service: str) -> None:
    given = CONTAINERS[container(service)]["environment"]
    assert set(given) <= variables_of(service)
    assert given["CAUSEWAY_NATS_USER"] == service, "whose rights on the bus it has"


@pytest.mark.parametrize("service", SERVICES)
def test_settings_are_complete_and_valid(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No path that a service writes to or reads is left at its default; what it gets can be read."""
    given = {name: default(str(value)) for name, value in CONTAINERS[container(service)]["environment"].items()}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CAUSEWAY_SECRETS_DIR", "")
    settings = settings_of(service)()
    paths = {
        f"CAUSEWAY_{name.upper()}"
        for name in type(settings).model_fields
        if name.endswith(("_url", "_dir", "_file")) and name not in ("trace_file", "database_url", "secrets_dir")
    }
    unused = {
        "encryption": {"CAUSEWAY_TARGETS_FILE"},
        "catalog": {"CAUSEWAY_TARGETS_FILE"},
        "dicom_ingest": {"CAUSEWAY_PEERS_FILE"},  # a site that has a registry mounts it; none ships with one
        "deid": {"CAUSEWAY_DEVICES_FILE"},  # the same
        "hl7_fhir": {"CAUSEWAY_MAPS_FILE", "CAUSEWAY_FHIR_SUBSCRIPTION_CA_FILE"},  # the same
    }
    assert paths - given.keys() <= unused.get(service, set())


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_site_says_of_ids_and_of_fhir_clients_reaches_every_service_that_asks(service: str) -> None:
    given = CONTAINERS[container(service)]["environment"]
    asked = {"CAUSEWAY_PATIENT_ISSUER", "CAUSEWAY_ORDER_ISSUER"}
    asked |= {f"CAUSEWAY_FHIR_{name}" for name in ("WRITES", "SUBSCRIPTIONS", "SUBSCRIPTION_ENDPOINTS")}
    for name in asked & variables_of(service):
        assert given[name].startswith(f"${{{name}:-"), name


@pytest.mark.parametrize(
    ("service", "way"), [("dicom_ingest", "dicom"), ("hl7_fhir", "mllp"), ("hl7_fhir", "worklist")]
)
def test_tls_is_off_until_one_variable_turns_it_on(
    service: str, way: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its files are those that `cli.setup` puts into the container's own folder."""
    given, port = CONTAINERS[container(service)]["environment"], f"CAUSEWAY_{way.upper()}_TLS_PORT"
    tls = {name: value for name, value in given.items() if name.startswith(f"CAUSEWAY_{way.upper()}_TLS_")}
    assert {default(value) for value in tls.values()} == {""}
    for name, value in tls.items():
        monkeypatch.setenv(name, re.sub(rf"\$\{{{port}:\+([^}}]*)\}}", r"\1", value))
    monkeypatch.setenv(port, "2762")
    settings = settings_of(service)()
    laid_out, ours = vault.Vault(tmp_path), Authority(tmp_path).issue("localhost")
    laid_out.accept_certificate(way, ours.certificate.read_text() + ours.key.read_text())
    laid_out.accept_clients(way, (tmp_path / "authority.pem").read_text())
    for path in (getattr(settings, f"{way}_tls_{what}") for what in ("cert", "key", "client_ca")):
        assert (path.parent, (tmp_path / container(service) / path.name).is_file()) == (Path("/run/causeway"), True)


@pytest.mark.parametrize("service", SERVICES)
def test_every_path_of_a_service_lies_on_a_mount(service: str) -> None:
    name = container(service)
    configs = {config["target"] for config in CONTAINERS[name].get("configs", ())}
    places = (*mounts(name), *configs, *(str(Path(target).parent) for target in configs))
    for value in CONTAINERS[name]["environment"].values():
        path = str(value).removeprefix("file://")
        if path.startswith("/"):
            assert any(path == place or path.startswith(f"{place}/") for place in places), path


def test_a_store_is_written_by_its_owner_alone() -> None:
    writers: dict[str, set[str]] = {}
    for name in map(container, SERVICES):
        for source, writable in mounts(name).values():
            if writable and source != "traces":
                writers.setdefault(source, set()).add(name)
    assert writers == {
        "spool": {"dicom-ingest"},
        "landing": {"dicom-ingest"},
        "deid": {"deid"},
        "work": {"deid"},
        "projects": {"deid"},
        "sealed": {"encryption"},
        "keys": {"encryption"},
        "kek": {"encryption"},
        "targets": {"replication"},
        "summaries": {"catalog"},
    }


def test_the_operator_reads_the_spans_of_every_service() -> None:
    """`causeway trace` looks for files in the folder of its site; each service writes one of its own."""
    for service in SERVICES:
        path = Path(CONTAINERS[container(service)]["environment"]["CAUSEWAY_TRACE_FILE"])
        assert path.name == f"{service}.jsonl"
        assert mounts(container(service))[str(path.parent)] == ("traces", True)
    home = Site(Path(CONTAINERS["operator"]["environment"]["CAUSEWAY_DATA"]))
    assert mounts("operator")[str(home.traces)] == ("traces", False)


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_sees_no_secrets_but_its_own(name: str) -> None:
    whole = {"setup"}
    seen = {source for source, _ in mounts(name).values() if source.split("/")[0] == "secrets"}
    assert seen <= ({"secrets"} if name in whole else {f"secrets/{name}"})


def test_folders_of_secrets_are_those_that_setup_makes(tmp_path: Path) -> None:
    vault.Vault(tmp_path).lay_out()
    made = {path.name for path in tmp_path.iterdir()}
    mounted = {source.split("/")[1] for name in CONTAINERS for source, _ in mounts(name).values() if "/" in source}
    assert mounted <= made


@pytest.mark.parametrize("name", CONTAINERS)
def test_no_container_has_more_rights_than_it_needs(name: str) -> None:
    found = CONTAINERS[name]
    assert found["user"] not in ("", "root", "0"), name
    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in found
    assert found["pids_limit"]
    assert found["mem_limit"]
    assert ("networks" in found) != ("network_mode" in found)
    assert "network_mode" not in found or name in WITHOUT_NETWORK


def test_ports_are_published_on_loopback_alone() -> None:
    published = [default(port) for found in CONTAINERS.values() for port in found.get("ports", ())]
    assert sorted(published) == [
        "127.0.0.1:11112:11112",
        "127.0.0.1:11113:11113",
        "127.0.0.1:11114:11114",
        "127.0.0.1:16686:16686",
        "127.0.0.1:2575:2575",
        "127.0.0.1:2576:2576",
        "127.0.0.1:2762:2762",
        "127.0.0.1:8080:8443",
    ]


def test_only_what_touches_targets_reaches_the_outside() -> None:
    reaching = {name for name, found in CONTAINERS.items() if "outside" in found.get("networks", ())}
    clouds = {"cloud-a", "cloud-b"}
    assert reaching == clouds | {"provision", "operator", "deid", "forwarding", "replication", "verification"}
    assert COMPOSE["networks"]["inside"] == {"internal": True}


def test_every_image_has_a_version() -> None:
    for name, found in CONTAINERS.items():
        image = default(found["image"])
        assert re.search(r":[^/]+$", image), name
        assert not image.endswith(":latest"), name


def test_long_running_containers_are_watched() -> None:
    """Ours by the image's health check, the servers by one in the file; the collector has nothing to ask with."""
    jobs = {"setup", "provision", "operator", "cloud-a-rules", "cloud-b-rules"}
    ours = {container(service) for service in SERVICES}
    unwatched = {name for name, found in CONTAINERS.items() if "healthcheck" not in found} - jobs - ours
    assert unwatched == {"collector"}


def test_every_job_is_waited_for() -> None:
    """`docker compose up --wait` takes the end of any other for a failure (docker/compose issue 10596)."""
    waits = [wait for found in CONTAINERS.values() for wait in found.get("depends_on", {}).items()]
    ending = {name for name, wait in waits if wait["condition"] == "service_completed_successfully"}
    assert ending == {"setup", "provision", "cloud-a-rules", "cloud-b-rules"}


def test_no_literal_is_a_secret() -> None:
    for name, found in CONTAINERS.items():
        for variable in found.get("environment", {}):
            assert not re.search(r"PASSWORD$|SECRET_KEY$|TOKEN$|ACCESS_KEY$", variable), (name, variable)
    assert "://" not in re.sub(r"(nats|file|http)://[\w./-]*(:[0-9]+[\w./?=&-]*)?", "", TEXT), "a URL with a login"


def test_files_that_it_mounts_are_there_and_readable() -> None:
    files = [ROOT / default(config["file"]) for config in COMPOSE["configs"].values()]
    for path in files:
        assert path.is_file()
        assert path.stat().st_mode & 0o044 == 0o044, "containers read it as another user"


def test_volumes_networks_and_configs_are_declared_and_used() -> None:
    for kind, used in {
        "volumes": {source.split("/")[0] for name in CONTAINERS for source, _ in mounts(name).values()},
        "networks": {network for found in CONTAINERS.values() for network in found.get("networks", ())},
        "configs": {config["source"] for found in CONTAINERS.values() for config in found.get("configs", ())},
    }.items():
        assert set(COMPOSE[kind]) == used, kind


def test_volumes_take_their_owner_from_folders_of_the_image() -> None:
    """A new volume is owned by root, unless the image has the folder that it is first mounted at."""
    folders = re.search(r"for folder in ([^;]+);", (ROOT / "Dockerfile").read_text())
    assert folders
    made = {f"/var/lib/causeway/{name}" for name in folders[1].split()}
    for name in (*map(container, SERVICES), "setup", "provision"):
        assert {place for place, (_, writable) in mounts(name).items() if writable} <= made, name


def test_policy_and_targets_fit_each_other() -> None:
    files = {name: ROOT / default(config["file"]) for name, config in COMPOSE["configs"].items()}
    assert load_policy(files["policy"], files["targets"])
    credentials = {target.credentials_file for target in load_targets(files["targets"]).values()}
    assert credentials == {None, Path("/run/causeway/cloud-a.json"), Path("/run/causeway/cloud-b.json")}


def backends() -> dict[str, str]:
    """The backend of each path in the router's configuration."""
    text = (ROOT / "k8s" / "base" / "router" / "haproxy.cfg").read_text()
    rules = re.findall(r"use_backend (\S+) if \{ path -m dir ([^}]+)\}", text)
    return {path: backend for backend, paths in rules for path in paths.split()}


def test_the_router_sends_every_path_where_the_embedded_one_does() -> None:
    assert backends() == {path: container(service) for path, service in ROUTES.items()}
    assert service_of("/dicom-web/studies") == "catalog"


def test_what_is_stored_goes_to_ingest_before_it_could_go_to_the_catalog() -> None:
    text = (ROOT / "k8s" / "base" / "router" / "haproxy.cfg").read_text()
    found = re.findall(r"use_backend (\S+) if METH_POST \{ path -m dir (\S+) \}", text)
    assert {path: backend for backend, path in found} == {path: container(service) for path, service in STORES.items()}
    assert text.index("METH_POST") < text.index("use_backend catalog")
    assert service_of("/dicom-web/studies/1.2.3", "POST") == "dicom_ingest"
    assert service_of("/fhir/Patient", "POST") == "hl7_fhir"


def test_haproxy_accepts_the_routers_configuration(tmp_path: Path) -> None:
    haproxy = shutil.which("haproxy")
    if not haproxy:
        pytest.skip("no haproxy here")
    vault.Vault(tmp_path).lay_out()
    text = (ROOT / "k8s" / "base" / "router" / "haproxy.cfg").read_text()
    (tmp_path / "haproxy.cfg").write_text(text.replace("/run/causeway", str(tmp_path / "router")))
    command = [haproxy, "-c", "-f", str(tmp_path / "haproxy.cfg")]
    told = subprocess.run(command, env={**os.environ, "DOMAIN": ""}, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
