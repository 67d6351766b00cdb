"""k8s/: who may reach whom, and whether every selector finds the pods that it means."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from cli.setup import vault
from tests.unit.deployment.cluster import K8S, PLACES, WORKLOADS, Object, build, built, labels, of, pod, validate
from tests.unit.deployment.house import ROOT, SERVICES, container


def with_component(place: str, component: str, folder: Path) -> tuple[Object, ...]:
    """The objects of a place with a component, each valid to the letter."""
    added = f"components/{component}"
    here = {name: os.path.relpath(K8S / name, folder.resolve()) for name in (place, added)}
    overlay = {
        "kind": "Kustomization",
        "namespace": "causeway",
        "resources": [here[place]],
        "components": [here[added]],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    made = build(folder.resolve())
    for found in made:
        validate(found)
    return made


def tls_as_composed(way: str, workload: str, port: int) -> dict[str, str]:
    """The settings that turn TLS on in docker-compose.yml, with this port."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"][workload]["environment"]
    prefix = f"CAUSEWAY_{way.upper()}_TLS_"
    files = {name: value.partition(":+")[2].rstrip("}") for name, value in compose.items() if name.startswith(prefix)}
    return files | {f"{prefix}PORT": str(port)}


@pytest.mark.parametrize("place", PLACES)
def test_nothing_goes_in_or_out_unless_a_policy_names_it(place: str) -> None:
    policies = of(place, "NetworkPolicy")
    assert policies["default-deny"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, policy in policies.items():
        for rule in policy["spec"].get("ingress", []) + policy["spec"].get("egress", []):
            assert rule.get("from") or rule.get("to"), f"{name} opens a port to anybody"
            assert rule.get("ports"), f"{name} opens every port"


@pytest.mark.parametrize("place", PLACES)
def test_a_policy_selects_pods_that_exist(place: str) -> None:
    """A label with a typing error would leave a way closed, or a pod with no way at all."""
    pods = [labels(found) for found in of(place, *WORKLOADS).values()]
    for name, policy in of(place, "NetworkPolicy").items():
        rules = policy["spec"].get("ingress", []) + policy["spec"].get("egress", [])
        peers = [peer for rule in rules for peer in (*rule.get("from", ()), *rule.get("to", ()))]
        inside = [peer["podSelector"] for peer in peers if "podSelector" in peer and "namespaceSelector" not in peer]
        for selector in (policy["spec"]["podSelector"], *inside):
            wanted = selector.get("matchLabels", {}).items()
            if (name, "postgres") in [(name, value) for _, value in wanted] and place != "overlays/local":
                continue  # PostgreSQL is elsewhere
            assert any(wanted <= one.items() for one in pods), (name, selector)
            for row in selector.get("matchExpressions", ()):
                assert set(row["values"]) <= {one.get(row["key"]) for one in pods}


def test_who_needs_the_bus_the_database_or_the_targets_may_reach_them() -> None:
    for service in SERVICES:
        found = labels(of("base", "Deployment", "StatefulSet")[container(service)])
        assert found["causeway.io/bus"] == "client"
        assert ("causeway.io/database" in found) == (service in vault.SERVICES_WITH_SQL), service
        assert ("causeway.io/targets" in found) == (service in vault.TARGET_USERS), service


@pytest.mark.parametrize("place", PLACES)
def test_selectors_find_the_pods_they_mean(place: str) -> None:
    pods = [labels(found) for found in of(place, *WORKLOADS).values()]
    for kind in ("Service", "PodDisruptionBudget"):
        for name, found in of(place, kind).items():
            selector = found["spec"]["selector"]
            wanted = selector.get("matchLabels", selector).items()
            assert sum(wanted <= one.items() for one in pods) == 1, (kind, name)


@pytest.mark.parametrize("place", PLACES)
def test_the_router_asks_every_replica_of_ingest_for_its_spool(place: str) -> None:
    """A replica that it does not know may hold what was acknowledged, and nobody would wait for it."""
    ingest = of(place, "StatefulSet")["dicom-ingest"]["spec"]
    (router,) = pod(of(place, "Deployment")["router"])["containers"]
    assert {row["name"]: row["value"] for row in router["env"]}["INGEST_REPLICAS"] == str(ingest["replicas"])
    asked = re.findall(r'"(\S+)\$\{DOMAIN\}:8443"', (K8S / "base" / "router" / "haproxy.cfg").read_text())
    assert {f"dicom-ingest-{n}.{ingest['serviceName']}" for n in range(ingest["replicas"])} <= set(asked)
    names = of(place, "Service")[ingest["serviceName"]]["spec"]
    assert (names["clusterIP"], names["publishNotReadyAddresses"]) == ("None", True), "pods have names of their own"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("way", "kind", "workload", "port"),
    [("dicom", "StatefulSet", "dicom-ingest", 2762), ("mllp", "Deployment", "hl7-fhir", 2576)],
)
def test_tls_is_closed_unless_a_component_opens_it(
    place: str, way: str, kind: str, workload: str, port: int, tmp_path: Path
) -> None:
    """Port, way, settings and files together, and from no other addresses than the plain port."""
    for one, name in (("Service", way), (kind, workload)):
        assert str(port) not in str(of(place, one)[name])
    before = of(place, "NetworkPolicy")[workload]["spec"]["ingress"]
    assert str(port) not in str(before)
    made = {(one["kind"], one["metadata"]["name"]): one for one in with_component(place, f"{way}-tls", tmp_path)}
    (plain, secured) = made["Service", way]["spec"]["ports"]
    main = pod(made[kind, workload])["containers"][0]
    listening = {row["name"]: row["containerPort"] for row in main["ports"]}
    assert (secured["port"], listening[secured["targetPort"]]) == (port, port)
    callers = made["NetworkPolicy", workload]["spec"]["ingress"][0]
    assert callers["ports"] == [{"port": plain["port"]}, {"port": port}]
    assert callers["from"] == before[0]["from"]
    given = {row["name"]: row["value"] for row in main["env"]}
    assert given.items() >= tls_as_composed(way, workload, port).items()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("component", "ports"), [("worklist", (11113,)), ("worklist-tls", (11113, 11114))])
def test_the_worklist_is_closed_unless_a_component_opens_it(
    place: str, component: str, ports: tuple[int, ...], tmp_path: Path
) -> None:
    """Service, way and settings together, for the modalities alone."""
    assert not {"11113", "11114"} & set(re.findall(r"\d+", str(built(place))))
    made = {(one["kind"], one["metadata"]["name"]): one for one in with_component(place, component, tmp_path)}
    served = made["Service", "worklist"]["spec"]["ports"]
    main = pod(made["Deployment", "hl7-fhir"])["containers"][0]
    listening = {row["name"]: row["containerPort"] for row in main["ports"]}
    assert [(each["port"], listening[each["targetPort"]]) for each in served] == [(port, port) for port in ports]
    policy = made["NetworkPolicy", "worklist"]["spec"]
    assert [rule["ports"] for rule in policy["ingress"]] == [[{"port": port} for port in ports]]
    assert policy["podSelector"]["matchLabels"].items() <= labels(made["Deployment", "hl7-fhir"]).items()
    given = {row["name"]: row["value"] for row in main["env"]}
    assert (given["CAUSEWAY_WORKLIST_HOST"], given["CAUSEWAY_WORKLIST_PORT"]) == ("0.0.0.0", "11113")
    secured = {name: value for name, value in given.items() if "_WORKLIST_TLS_" in name}
    assert secured == (tls_as_composed("worklist", "hl7-fhir", 11114) if component == "worklist-tls" else {})


@pytest.mark.parametrize("place", PLACES)
def test_with_telemetry_spans_have_an_address_and_a_way_to_it(place: str, tmp_path: Path) -> None:
    """An address alone leads nowhere where everything is denied that no policy names."""
    made = with_component(place, "telemetry", tmp_path)
    (settings,) = (one["data"] for one in made if one["metadata"]["name"].startswith("causeway-settings"))
    address = urlsplit(settings["CAUSEWAY_OTLP_ENDPOINT"])
    (policy,) = (
        one["spec"] for one in made if (one["kind"], one["metadata"]["name"]) == ("NetworkPolicy", "telemetry")
    )
    (way,) = policy["egress"]
    assert way["ports"] == [{"port": address.port}]
    (peer,) = way["to"]
    namespace = peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    assert str(address.hostname).split(".")[1] == namespace
    chosen = policy["podSelector"]["matchLabels"].items()
    pods = {one["metadata"]["name"]: labels(one) for one in made if one["kind"] in WORKLOADS}
    assert {name for name, has in pods.items() if chosen <= has.items()} == set(map(container, SERVICES))


def test_the_operator_is_told_where_spans_go() -> None:
    (main,) = pod(of("base", "Deployment")["operator"])["containers"]
    reference = {row["name"]: row.get("valueFrom") for row in main["env"]}["CAUSEWAY_OTLP_ENDPOINT"]
    source = reference["configMapKeyRef"]
    assert source["key"] in of("base", "ConfigMap")[source["name"]]["data"]
