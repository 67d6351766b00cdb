"""The secrets of a site as Kubernetes objects, for ``kubectl apply``: nothing of them is ever in the repository."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Not for the cluster: the originals, and what an administrator of the database needs.
_KEPT_OUT = {"authority", "postgres"}


def secrets(folder: Path, namespace: str, *, stand_ins: bool = False) -> Iterator[dict[str, Any]]:
    """One Secret ``causeway-<container>`` for each container's folder; of stand-in clouds only when they are wanted."""
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = {path.name: path.read_bytes() for path in sorted(place.iterdir()) if path.is_file()}
        unwanted = place.name in _KEPT_OUT or ("s3.json" in files and not stand_ins)
        if files and (not unwanted or (stand_ins and place.name == "postgres")):
            yield _secret(f"causeway-{place.name}", namespace, files)


def _secret(name: str, namespace: str, files: dict[str, bytes]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/part-of": "causeway"}},
        "type": "Opaque",
        "data": {file: base64.b64encode(content).decode("ascii") for file, content in files.items()},
    }
