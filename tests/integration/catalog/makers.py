"""What tests put into the index, and how they look at it."""

from collections.abc import Callable
from typing import Any

from contracts.events import PART_SIZE, BatchArchived, Blob, CopyKey, Part, Sealed, Sections
from contracts.formats.manifest import Instance, Routing
from contracts.formats.streaming import Segments
from services.catalog.adapters.register import Arrived, Batch
from services.catalog.adapters.searching import search
from services.catalog.domain.attributes import Level
from services.catalog.domain.search import read_query
from shared.sql.database import Database

HASH = "ab" * 32


def arrived(
    number: int,
    *,
    sop: str | None = None,
    digest: str = HASH,
    study: str = "1.2.3",
    series: str | None = None,
    modality: str = "CT",
) -> Arrived:
    """One instance with a header."""
    instance = Instance(
        length=1000 + number,
        crc32=0,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid=sop or f"{study}.1.{number}",
        study_uid=study,
        series_uid=series or f"{study}.1",
        transfer_syntax="1.2.840.10008.1.2.1",
        dataset_offset=300,
        meta_sha256=HASH,
        dataset_sha256=digest,
        header_sha256=HASH,
        header_length=100,
        routing=Routing(modality=modality),
    )
    header = {
        "0020000D": {"vr": "UI", "Value": [study]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller^Jörg"}]},
        "00100020": {"vr": "LO", "Value": ["P_1%"]},
        "00080020": {"vr": "DA", "Value": ["20260131"]},
        "00080060": {"vr": "CS", "Value": [modality]},
        "00200013": {"vr": "IS", "Value": [number]},
    }
    return Arrived(instance, header)


def batch(*instances: Arrived, name: str = "b1", study: str | None = "1.2.3", closed: float = 100.0) -> Batch:
    """A landing batch of ``instances``."""
    return Batch(name, study, "ref", closed, 5.0, tuple(instances))


async def found(database: Database, level: Level, *parameters: tuple[str, str]) -> list[dict[str, Any]]:
    """The answers to a query."""
    query = read_query(level, parameters)
    return await database.read(lambda connection: search(connection, query, "http://here/dicom-web"))


async def run(database: Database, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``work(connection, …)`` in a transaction."""
    return await database.run(lambda connection: work(connection, *args, **kwargs))


def sealed(instances: list[Instance], header: int = 500) -> Sealed:
    """A seal whose parts are as long as the format makes them."""
    sections = Sections(manifest=700, headers=900, archive=sum(one.length + 100 for one in instances) + 200)
    size = header + Segments(700 + 900 + sections.archive).ciphertext_size
    parts = tuple(
        Part(number=n + 1, key=f"buffer/{n}", size=min(PART_SIZE, size - n * PART_SIZE), sha256=HASH)
        for n in range(-(-size // PART_SIZE))
    )
    key = Blob(store="keys", key="k", size=1)
    return Sealed(
        sealed_id="s1", pack_id="p1", form="identified", key_domain="d", study_key=key, instances=len(instances),
        size=size, manifest_sha256=HASH, sections=sections, parts=parts,
    )  # fmt: skip


def copy_key(generation: int = 1) -> CopyKey:
    """A copy of the seal in a cloud."""
    return CopyKey(
        sealed_id="s1", pack_id="p1", form="identified", target="cloud-a", tier="hot", key_domain="d",
        generation=generation, keys=("o/0001",),
    )  # fmt: skip


def archived(name: str = "b1", study: str | None = "1.2.3", withheld: int = 0) -> BatchArchived:
    """The fact that a batch needs its plain bytes no more."""
    return BatchArchived(
        batch_id=name, study_uid=study, study_ref="ref", pack_ids=(), sealed_ids=(), copies=(), withheld=withheld
    )
