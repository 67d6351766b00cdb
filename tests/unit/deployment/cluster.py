"""The objects of k8s/ as kubectl makes them, for the tests that look at them."""

import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate import utils as schemas

from tests.unit.deployment.house import ROOT

K8S = ROOT / "k8s"
PLACES = ("base", "overlays/site", "overlays/cloud", "overlays/local")
WORKLOADS = ("Deployment", "StatefulSet", "Job")
#: Of Kubernetes, whose schemas objects are held to.
VERSION = "1.37"

Object = dict[str, Any]


def kubectl() -> str:
    """The locked kubectl that tests/run.sh installs, else the machine's."""
    locked = Path(sys.executable).with_name("kubectl")
    found = str(locked) if locked.exists() else shutil.which("kubectl")
    if not found:
        pytest.skip("NO KUBECTL: nothing of k8s/ is built or validated; tests/run.sh installs one (kubectl.txt)")
    return found


def build(folder: Path) -> tuple[Object, ...]:
    """The objects of the kustomization in ``folder``, as kubectl makes them."""
    made = subprocess.run([kubectl(), "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return tuple(yaml.load_all(made.stdout, Loader=yaml.CSafeLoader))


# Each object would have megabytes of schemas read again.
schemas.schema_contents = lru_cache(schemas.schema_contents)


def validate(found: Object) -> None:
    """kubernetes_validate.ValidationError unless an object is valid to the letter."""
    kubernetes_validate.validate(found, VERSION, strict=True)


@lru_cache
def built(place: str) -> tuple[Object, ...]:
    """The objects of one of ``PLACES``."""
    return build(K8S / place)


def of(place: str, *kinds: str) -> dict[str, Object]:
    """The objects of some kinds by name."""
    return {found["metadata"]["name"]: found for found in built(place) if found["kind"] in kinds}


def pod(workload: Object) -> Object:
    """The pod that a workload makes."""
    return workload["spec"]["template"]["spec"]  # type: ignore[no-any-return]


def labels(workload: Object) -> dict[str, str]:
    """The labels of its pods."""
    return workload["spec"]["template"]["metadata"]["labels"]  # type: ignore[no-any-return]


def everyone(place: str) -> list[tuple[str, Object, Object]]:
    """Each container of each workload, those that run first included: the pod's name, the pod, the container."""
    pods = {name: pod(found) for name, found in of(place, *WORKLOADS).items()}
    return [(n, p, c) for n, p in pods.items() for c in (*p.get("initContainers", ()), *p["containers"])]
