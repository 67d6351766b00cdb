"""What landing tells of a whole batch: its manifest, and a line of headers for each instance."""

from collections.abc import Callable, Collection, Sequence

from contracts.formats.manifest import Instance, Manifest, Source, place
from services.dicom_ingest.domain.bounds import USUAL, Bounds
from services.dicom_ingest.domain.instance import Described, Issuers, RecordDamaged, describe, without_study
from services.dicom_ingest.domain.json_model import Memory
from services.dicom_ingest.domain.records import Opening, Read, Record, entry_name
from shared.identity import SiteKey


def describe_batch(
    opening: Opening,
    records: Sequence[Record],
    read: Read,
    write: Callable[[bytes], object],
    *,
    site_key: SiteKey,
    issuers: Issuers,
    unread: Collection[int] = (),
    begin: Callable[[int], object] = int,
    bounds: Bounds = USUAL,
) -> Manifest:
    """The manifest; the lines of headers.jsonl go to ``write`` one by one. RecordDamaged when the disk changed one.

    ``begin`` is told the number of each instance, from 1, before it is looked at; the headers of ``unread`` ones are
    left alone.
    """
    instances: list[Instance] = []
    memory = Memory()
    for number, record in enumerate(records, start=1):
        begin(number)
        described = _described(record, read, site_key, issuers, memory, bounds, unread=number in unread)
        write(described.line(entry_name(number)))
        instances.append(described.instance)
    study_uid = opening.study_uid if opening.shared else instances[0].study_uid
    first = records[0].arrival
    return Manifest(
        form="identified",
        id=opening.batch_id,
        study_uid=study_uid,
        study_ref=site_key.study_ref(study_uid or without_study(first)),
        source=Source(calling_ae=first.calling_ae, called_ae=first.called_ae, address=first.address),
        received=first.received,
        instances=tuple(place(instances)),
    )


def _described(
    record: Record,
    read: Read,
    site_key: SiteKey,
    issuers: Issuers,
    memory: Memory,
    bounds: Bounds,
    *,
    unread: bool,
) -> Described:
    """An error that nobody foresaw makes one header unreadable; it holds up no batch."""
    try:
        return describe(record, read, site_key, issuers, memory, unread=unread, bounds=bounds)
    except RecordDamaged:
        raise
    except Exception:
        if unread:
            raise
        return describe(record, read, site_key, issuers, memory, unread=True)
