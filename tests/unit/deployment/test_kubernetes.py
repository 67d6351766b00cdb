"""k8s/: every overlay builds, every object is what its schema allows, every pod is restricted, bounded and probed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cli.setup import manifests, vault
from cli.setup.provision import Settings as ProvisionSettings
from services.tier_routing.adapters.targets import load_policy
from shared.storage.targets import load_targets
from tests.unit.deployment.cluster import K8S, PLACES, WORKLOADS, built, everyone, labels, of, pod, validate
from tests.unit.deployment.house import ROOT, SERVICES, container, settings_of, variables_of


def test_every_file_is_yaml_and_every_kustomization_names_files_that_are_there() -> None:
    for path in K8S.rglob("*.yaml"):
        for document in yaml.safe_load_all(path.read_text()):
            assert isinstance(document, dict), path
            for name in document.get("resources", ()) if path.name == "kustomization.yaml" else ():
                assert (path.parent / name).exists(), (path, name)


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_a_folder_and_is_in_the_base(service: str) -> None:
    folder = K8S / "base" / container(service)
    kinds = {doc["kind"] for path in folder.glob("*.yaml") for doc in yaml.safe_load_all(path.read_text())}
    assert kinds >= {"ServiceAccount", "Service", "PodDisruptionBudget", "NetworkPolicy"}
    assert kinds & {"Deployment", "StatefulSet"}
    assert container(service) in yaml.safe_load((K8S / "base" / "kustomization.yaml").read_text())["resources"]


@pytest.mark.parametrize("place", PLACES)
def test_every_object_is_valid_to_the_letter(place: str) -> None:
    for found in built(place):
        validate(found)


@pytest.mark.parametrize("place", PLACES)
def test_every_pod_meets_the_restricted_standard(place: str) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
    for name, spec, one in everyone(place):
        security = spec["securityContext"] | one["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] > 0, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert security["allowPrivilegeEscalation"] is False, name
        assert security["capabilities"] == {"drop": ["ALL"]}, name
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}, name
        assert not any("hostPort" in port for port in one.get("ports", ())), name
        assert {kind for volume in spec["volumes"] for kind in volume if kind != "name"} <= allowed, name


@pytest.mark.parametrize("place", PLACES)
def test_no_pod_has_more_than_it_needs(place: str) -> None:
    """Beyond the standard: a root file system that nobody writes, no token of the cluster, bounds."""
    for name, spec, one in everyone(place):
        assert one["securityContext"]["readOnlyRootFilesystem"] is True, name
        assert spec["automountServiceAccountToken"] is False, name
        assert one["resources"]["requests"].keys() == {"cpu", "memory"} == one["resources"]["limits"].keys(), name
    namespace = of(place, "Namespace")["causeway"]["metadata"]["labels"]
    assert namespace["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("place", PLACES)
def test_whatever_goes_on_is_probed(place: str) -> None:
    """Services, router, bus and stand-ins; the operator's pod sleeps until somebody works in it."""
    for name, found in of(place, "Deployment", "StatefulSet").items():
        if name != "operator":
            (main,) = pod(found)["containers"]
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= main.keys(), name


@pytest.mark.parametrize("name", [*map(container, SERVICES), "nats", "router"])
def test_what_is_there_more_than_once_is_never_gone_all_at_once(name: str) -> None:
    found = of("base", "Deployment", "StatefulSet")[name]
    assert found["spec"]["replicas"] > 1
    assert pod(found)["terminationGracePeriodSeconds"] >= 60
    assert {row["topologyKey"] for row in pod(found)["topologySpreadConstraints"]} == {
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    }
    budget = of("base", "PodDisruptionBudget")[name]["spec"]
    assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
    assert budget["selector"]["matchLabels"].items() <= labels(found).items()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_runs_its_image_and_is_asked_whether_it_lives(service: str) -> None:
    name = container(service)
    main = pod(of("base", "Deployment", "StatefulSet")[name])["containers"][0]
    assert main["image"].startswith(f"causeway/{name}:")
    assert main["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "https", "scheme": "HTTPS"}


@pytest.mark.parametrize("service", SERVICES)
def test_every_variable_is_a_setting_of_its_service(service: str) -> None:
    main = pod(of("base", "Deployment", "StatefulSet")[container(service)])["containers"][0]
    given = {row["name"]: row["value"] for row in main["env"]}
    assert set(given) <= variables_of(service)
    assert given["CAUSEWAY_NATS_USER"] == service


@pytest.mark.parametrize("place", PLACES)
def test_only_where_volumes_replicate_is_the_spool_called_redundant(place: str) -> None:
    main = pod(of(place, "StatefulSet")["dicom-ingest"])["containers"][0]
    given = {row["name"]: row["value"] for row in main["env"]}
    assert given["CAUSEWAY_SPOOL_STORAGE"] == ("single-disk" if place.endswith("local") else "redundant")


@pytest.mark.parametrize("place", PLACES)
def test_settings_of_a_site_are_settings_of_some_service(place: str) -> None:
    everything = set().union(*map(variables_of, SERVICES))
    shared = next(found for name, found in of(place, "ConfigMap").items() if name.startswith("causeway-settings"))
    assert shared["data"].keys() <= everything
    job = pod(of(place, "Job")["provisioner"])["containers"][0]
    known = {f"CAUSEWAY_{field.upper()}" for field in ProvisionSettings.model_fields}
    assert {row["name"] for row in job["env"]} <= known


@pytest.mark.parametrize("place", PLACES)
def test_issuers_are_said_once_for_all_services(place: str) -> None:
    shared = next(found for name, found in of(place, "ConfigMap").items() if name.startswith("causeway-settings"))
    assert {"CAUSEWAY_PATIENT_ISSUER", "CAUSEWAY_ORDER_ISSUER"} <= shared["data"].keys()


@pytest.mark.parametrize("service", SERVICES)
def test_settings_are_complete_and_lie_on_mounts(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    main = pod(of("base", "Deployment", "StatefulSet")[container(service)])["containers"][0]
    given = {row["name"]: row["value"] for row in main["env"]}
    places = [row["mountPath"] for row in main["volumeMounts"]]
    for name, value in given.items():
        monkeypatch.setenv(name, "" if name == "CAUSEWAY_SECRETS_DIR" else value)
        path = value.removeprefix("file://")
        if path.startswith("/"):
            assert any(path == place or path.startswith(f"{place}/") for place in places), path
    fields = type(settings_of(service)()).model_fields
    stores = {f"CAUSEWAY_{name.upper()}" for name in fields if name.endswith(("_url", "_dir"))}
    assert stores - given.keys() <= {"CAUSEWAY_DATABASE_URL", "CAUSEWAY_NATS_URL"}, "from its Secret, and of the site"


def test_compose_and_kubernetes_configure_a_service_alike() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    site = {"CAUSEWAY_SITE", "CAUSEWAY_NATS_URL", "CAUSEWAY_LOG_LEVEL", "CAUSEWAY_OTLP_ENDPOINT"}
    site |= {"CAUSEWAY_TIME_ZONE", "CAUSEWAY_STUDY_QUIET", "CAUSEWAY_PATIENT_ISSUER", "CAUSEWAY_ORDER_ISSUER"}
    site |= {"CAUSEWAY_TRACE_FILE"}  # pods on many nodes send their spans to a collector
    everything = {name for found in compose.values() for name in found.get("environment", ())}
    site |= {name for name in everything if "_TLS_" in name and "_HTTP_" not in name}  # components/…-tls
    site |= {name for name in everything if "_WORKLIST_" in name}  # components/worklist
    for name in map(container, SERVICES):
        main = pod(of("base", "Deployment", "StatefulSet")[name])["containers"][0]
        assert {row["name"] for row in main["env"]} == set(compose[name]["environment"]) - site, name


@pytest.mark.parametrize("place", PLACES)
def test_every_secret_that_a_pod_mounts_is_made_by_setup(place: str, tmp_path: Path) -> None:
    around = vault.Surroundings(key_domains=("clinical",), projects=("research",))
    vault.Vault(tmp_path, around).lay_out()
    local = place.endswith("local")
    made = {found["metadata"]["name"] for found in manifests.secrets(tmp_path, "causeway", stand_ins=local)}
    volumes = [volume for found in of(place, *WORKLOADS).values() for volume in pod(found)["volumes"]]
    assert {volume["secret"]["secretName"] for volume in volumes if "secret" in volume} == made


@pytest.mark.parametrize("place", PLACES)
def test_no_secret_is_contained(place: str) -> None:
    assert not of(place, "Secret")
    for name, _, one in everyone(place):
        for row in one.get("env", ()):
            assert not re.search(r"(PASSWORD|TOKEN|SECRET_KEY|ACCESS_KEY|DATABASE_URL)$", row["name"]), (
                name,
                row["name"],
            )


@pytest.mark.parametrize("place", PLACES)
def test_volumes_that_pods_claim_are_there(place: str) -> None:
    claims = of(place, "PersistentVolumeClaim")
    for name, found in of(place, *WORKLOADS).items():
        for volume in pod(found)["volumes"]:
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims, name


@pytest.mark.parametrize("place", PLACES)
def test_targets_and_policy_fit_each_other(place: str, tmp_path: Path) -> None:
    site = next(found for name, found in of(place, "ConfigMap").items() if name.startswith("causeway-site"))["data"]
    for name, text in site.items():
        (tmp_path / name).write_text(text)
    assert load_policy(tmp_path / "policy.yaml", tmp_path / "targets.yaml")
    for target in load_targets(tmp_path / "targets.yaml").values():
        assert target.credentials_file in (None, Path(f"/run/causeway/{target.name}.json"))


def test_the_sample_policy_is_the_one_of_the_examples() -> None:
    for place in ("base/site", "overlays/site"):
        assert (K8S / place / "policy.yaml").read_text() == (ROOT / "examples" / "policy.yaml").read_text()


def test_the_sample_profile_is_the_one_of_the_examples() -> None:
    example = ROOT / "examples" / "profiles" / "research.yaml"
    assert (K8S / "base/site/research.yaml").read_text() == example.read_text()


@pytest.mark.parametrize("place", PLACES)
def test_the_bus_keeps_as_many_copies_as_it_has_servers(place: str) -> None:
    """Whoever makes its streams: the provisioner, or the operator after their loss."""
    servers = of(place, "StatefulSet")["nats"]["spec"]["replicas"]
    for maker in (of(place, "Job")["provisioner"], of(place, "Deployment")["operator"]):
        given = {row["name"]: row.get("value") for row in pod(maker)["containers"][0]["env"]}
        assert given["CAUSEWAY_STREAM_REPLICAS"] == str(servers)
    assert servers == (1 if place.endswith("local") else 3)


@pytest.mark.parametrize("config", ["base/nats/nats.conf", "overlays/local/nats.conf"])
def test_the_server_accepts_its_configuration_and_syncs_always(config: str, tmp_path: Path) -> None:
    vault.Vault(tmp_path).lay_out()
    (tmp_path / "secret").symlink_to(tmp_path / "nats")
    text = (K8S / config).read_text()
    assert "sync_interval: always" in text
    (tmp_path / "nats.conf").write_text(text)
    server = str(Path(sys.executable).with_name("nats-server"))
    told = subprocess.run(
        [server, "-t", "-c", str(tmp_path / "nats.conf")],
        env={"POD_NAME": "nats-0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
