"""Who an instance is, what was brought before, and what contradicts what was here before."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from contracts.events import BatchStored, InstanceConflicted
from contracts.formats.manifest import Instance, Manifest
from services.tier_routing.domain.matching import Arrival, Trait
from shared.identity import SiteKey

Kind = Literal["instance_version", "study_patient", "series_study"]


@dataclass(frozen=True)
class Arrived:
    """A stored batch with its manifest, when it was heard of, and the trace that it belongs to."""

    event: BatchStored
    manifest: Manifest
    now: datetime
    traceparent: str | None = None


@dataclass(frozen=True, order=True)
class Claim:
    """An instance's identity: 16 bytes for all that it is, 16 bytes for its name (SOP Instance UID) alone.

    Its SOP class (``class_hash``) is said beside and tells no claim from another.
    """

    identity: bytes
    name: bytes
    sop_class: bytes | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Known:
    """What the ledger held when a batch made its claims.

    ``owners`` says whose a claim already was, ``versions`` which batch holds other content under the same name;
    ``patient`` is the patient token first seen with the study, ``series`` the study of each series (by ``uid_hash``).
    """

    owners: Mapping[bytes, str] = field(default_factory=dict)
    versions: Mapping[bytes, str] = field(default_factory=dict)
    patient: str | None = None
    series: Mapping[bytes, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Conflict:
    """A contradiction; ``about`` identifies it, so that the same one is told once."""

    kind: Kind
    about: tuple[str, ...]
    instance: Instance
    other: str | None


def uid_hash(uid: str) -> bytes:
    """16 bytes that stand for a UID in the ledger's own tables."""
    return _hash(uid)


def class_hash(sop_class: str) -> bytes:
    """8 bytes that stand for a SOP Class UID."""
    return _hash(sop_class)[:8]


def claim_of(instance: Instance) -> Claim:
    """The claim of an instance: its identity is (SOP Instance UID, data set digest, transfer syntax)."""
    return Claim(
        identity=_hash(*instance.identity),
        name=_hash(instance.sop_instance_uid),
        sop_class=class_hash(instance.sop_class_uid),
    )


def claims_of(instances: Iterable[Instance]) -> tuple[Claim, ...]:
    """The distinct claims of these instances, sorted: every process takes its locks in the same order."""
    return tuple(sorted({claim_of(instance) for instance in instances}))


def entries_of(manifest: Manifest) -> dict[bytes, int]:
    """The number of the first entry, counted from 1, of each identity in a batch."""
    entries: dict[bytes, int] = {}
    for number, instance in enumerate(manifest.instances, start=1):
        entries.setdefault(claim_of(instance).identity, number)
    return entries


def conflicts(manifest: Manifest, study_ref: str, known: Known) -> tuple[Conflict, ...]:
    """Everything in which the batch contradicts what was known, in the order of its instances."""
    return (*_versions(manifest, known), *_patients(manifest, study_ref, known), *_series(manifest, study_ref, known))


def conflicted(conflict: Conflict, batch_id: str, study_ref: str, site_key: SiteKey) -> InstanceConflicted:
    """The event that tells a conflict."""
    return InstanceConflicted(
        conflict_id=site_key.token("conflict", conflict.kind, *conflict.about),
        kind=conflict.kind,
        batch_id=batch_id,
        study_ref=study_ref,
        sop_instance_uid=conflict.instance.sop_instance_uid,
        dataset_sha256=conflict.instance.dataset_sha256,
        other=conflict.other,
    )


def arrival_of(manifest: Manifest, closed: datetime, priorities: Iterable[str] = ()) -> Arrival:
    """What the rules of a policy may see of a batch."""
    return Arrival(
        traits=tuple(sorted({trait_of(instance) for instance in manifest.instances}, key=repr)),
        received=(manifest.received or closed).date(),
        source_ae=manifest.source.calling_ae if manifest.source else None,
        priorities=tuple(sorted(set(priorities))),
    )


def trait_of(instance: Instance) -> Trait:
    """The routing attributes of an instance."""
    routing = instance.routing
    return Trait(
        modality=routing.modality,
        body_part=routing.body_part,
        station_name=routing.station_name,
        study_date=_date(routing.study_date),
    )


def accession_tokens(manifest: Manifest) -> tuple[str, ...]:
    """The distinct accession tokens of a batch, sorted."""
    return tuple(sorted({each.routing.accession_token for each in manifest.instances if each.routing.accession_token}))


def patient_tokens(manifest: Manifest) -> tuple[str, ...]:
    """The distinct patient tokens of a batch, in the order of its instances."""
    return tuple(dict.fromkeys(i.routing.patient_token for i in manifest.instances if i.routing.patient_token))


def _versions(manifest: Manifest, known: Known) -> Iterable[Conflict]:
    seen: dict[bytes, Claim] = {}
    for instance in manifest.instances:
        claim = claim_of(instance)
        other = known.versions.get(claim.name) or (manifest.id if seen.get(claim.name, claim) != claim else None)
        if claim.identity not in known.owners and claim not in seen.values() and other:
            yield Conflict("instance_version", instance.identity, instance, other)
        seen.setdefault(claim.name, claim)


def _patients(manifest: Manifest, study_ref: str, known: Known) -> Iterable[Conflict]:
    expected = known.patient or next(iter(patient_tokens(manifest)), None)
    told: set[str] = set()
    for instance in manifest.instances:
        token = instance.routing.patient_token
        if manifest.study_uid and token and token != expected and token not in told:
            told.add(token)
            yield Conflict("study_patient", (study_ref, token), instance, None)


def _series(manifest: Manifest, study_ref: str, known: Known) -> Iterable[Conflict]:
    told: set[str] = set()
    for instance in manifest.instances:
        uid = instance.series_uid
        elsewhere = known.series.get(uid_hash(uid)) if uid else None
        if uid and elsewhere and elsewhere != study_ref and uid not in told:
            told.add(uid)
            yield Conflict("series_study", (uid, study_ref), instance, elsewhere)


def _hash(*parts: str) -> bytes:
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).digest()


def _date(text: str | None) -> date | None:
    """A DICOM date (PS3.5 section 6.2, VR DA, also in its old form with dots); None when it is none."""
    try:
        return datetime.strptime((text or "").strip().replace(".", ""), "%Y%m%d").date()
    except ValueError:
        return None
