"""Facts as the tests of tier routing need them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.events import (
    Batch,
    Blob,
    CopyDamaged,
    CopyFailed,
    CopyKey,
    CopyVerified,
    CopyWritten,
    PlannedCopy,
    Sealed,
    Sections,
)
from contracts.formats.manifest import Instance, Manifest, Routing, Source
from services.tier_routing.domain.policy import Offer, Policy
from services.tier_routing.domain.policy_file import read_policy

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

OFFERS = {
    "onsite": Offer("onsite", "DE", ("hot",), frozenset({"identified"})),
    "cloud-a": Offer("cloud-a", "EU", ("hot", "cold"), frozenset({"identified", "deidentified"})),
    "cloud-b": Offer("cloud-b", "US", ("hot", "cold", "ice"), frozenset({"identified", "deidentified"})),
}

POLICY = """
format: causeway.policy/1
pack: {size: 1KiB, quiet: 10s, recovery_point: 1m}
overdue: {secured: 1m, archived: 2m, repeat: 1m, longest: 10m}
rules:
  - name: urgent
    match: {order_priority: [stat]}
    copies: [{form: identified, target: onsite}]
  - name: reports
    match: {modality: [SR]}
    copies:
      - {form: identified, target: onsite}
      - {form: identified, target: cloud-a, tier: hot}
default:
  copies:
    - {form: identified, target: onsite}
    - {form: identified, target: cloud-a, tier: hot}
    - {form: identified, target: cloud-b, tier: hot}
    - {form: deidentified, target: cloud-b, tier: hot, project: research}
"""


def at(seconds: float) -> datetime:
    """``seconds`` after noon."""
    return NOON + timedelta(seconds=seconds)


def policy(text: str = POLICY) -> Policy:
    return read_policy(text, OFFERS)


def copy(target: str = "onsite", form: Any = "identified", **more: Any) -> PlannedCopy:
    """A planned copy; a de-identified one is for the project ``research``."""
    own = {"key_domain": "clinical"} if form == "identified" else {"key_domain": "research", "project": "research"}
    return PlannedCopy(**({"form": form, "target": target, "tier": "hot"} | own | more))


def due(target: str = "onsite", form: Any = "identified", generation: int = 1) -> PlannedCopy:
    """A planned copy as it is told, with the generation to be written."""
    return copy(target, form, generation=generation)


def key(
    target: str = "onsite", generation: int = 0, pack: str = "pack", form: Any = "identified", **more: Any
) -> CopyKey:
    domain = "clinical" if form == "identified" else "research"
    values = {
        "sealed_id": f"sealed-{pack}",
        "pack_id": pack,
        "form": form,
        "target": target,
        "tier": "hot",
        "key_domain": domain,
        "generation": generation,
        "keys": (f"{form}/{target}-{generation}/0001",),
    }
    return CopyKey(**(values | more))


def instance(number: int = 1, **more: Any) -> Instance:
    routing = {name: more.pop(name) for name in tuple(more) if name in Routing.model_fields}
    digest = f"{more.pop('content', number):064x}"
    values: dict[str, Any] = {
        "length": 100,
        "crc32": 0,
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2",
        "sop_instance_uid": f"1.2.3.{number}",
        "study_uid": "1.2",
        "series_uid": "1.2.3",
        "transfer_syntax": "1.2.840.10008.1.2.1",
        "dataset_offset": 0,
        "meta_sha256": digest,
        "dataset_sha256": digest,
        "header_sha256": digest,
        "header_length": 100,
        "routing": Routing(**routing),
    }
    return Instance(**(values | more))


def manifest(*instances: Instance, batch: str = "batch-1", study: str | None = "1.2", ae: str = "CT1") -> Manifest:
    return Manifest(
        form="identified",
        id=batch,
        study_uid=study,
        study_ref="study-1",
        source=Source(calling_ae=ae),
        received=NOON,
        instances=instances,
    )


def batch(name: str = "batch-1", instances: int = 1, size: int = 100) -> Batch:
    blobs = {part: Blob(store="landing", key=f"{name}/{part}", size=1) for part in ("manifest", "headers", "archive")}
    return Batch(batch_id=name, instances=instances, size=size, **blobs)


def sealed(of: CopyKey) -> Sealed:
    return Sealed(
        sealed_id=of.sealed_id,
        pack_id=of.pack_id,
        form=of.form,
        key_domain=of.key_domain,
        study_key=Blob(store="keys", key="k", size=1),
        instances=1,
        size=1,
        manifest_sha256="0" * 64,
        sections=Sections(manifest=1, headers=1, archive=1),
        parts=(),
    )


def written(of: CopyKey, when: float = 0) -> CopyWritten:
    return CopyWritten(copy_key=of, sealed=sealed(of), written=at(when))


def verified(of: CopyKey, when: float = 1) -> CopyVerified:
    return CopyVerified(copy_key=of, level="instances", instances=1, size=1, written=at(when - 1), proven=at(when))


def damaged(of: CopyKey, when: float = 2) -> CopyDamaged:
    return CopyDamaged(copy_key=of, sealed=sealed(of), reason="ciphertext", sources=(), found=at(when))


def failed(of: CopyKey, retrying: bool = False, reason: str = "target-refused") -> CopyFailed:
    return CopyFailed(copy_key=of, reason=reason, attempts=3, retrying=retrying)
