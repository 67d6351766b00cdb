"""Elements of a resource by paths such as ``series.modality``: repetitions count as one list."""

from collections.abc import Iterator, Mapping
from typing import Any


def found_at(body: Any, path: str) -> Iterator[Any]:
    """Every value at ``path`` (element names joined by dots), in the order of the resource."""
    name, _, rest = path.partition(".")
    if not isinstance(body, Mapping) or name not in body:
        return
    values = body[name] if isinstance(body[name], list) else [body[name]]
    for value in values:
        if rest:
            yield from found_at(value, rest)
        else:
            yield value


def patient_of(body: Mapping[str, Any]) -> str | None:
    """The id of the Patient that the resource is about, as ``subject`` or ``patient`` refers to it."""
    for path in ("subject.reference", "patient.reference"):
        for reference in found_at(body, path):
            kind, _, resource_id = str(reference).partition("/")
            if kind == "Patient" and resource_id:
                return resource_id
    return None
