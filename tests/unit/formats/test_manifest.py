"""The manifest: one line per instance, the same bytes for the same facts, mergeable."""

import io
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from contracts.formats.errors import ManifestBroken
from contracts.formats.manifest import (
    Fragments,
    Instance,
    Manifest,
    NativeFrames,
    Routing,
    Source,
    merge,
    open_manifest,
    place,
    read_manifest,
    write_manifest,
)
from tests.unit.formats.files import describe, manifest_of


def test_a_manifest_reads_back_as_written(contents: list[bytes]) -> None:
    """Nothing is lost on the way through bytes, neither in one chunk nor byte by byte."""
    manifest = manifest_of(contents, source=Source(calling_ae="CT1", called_ae="CAUSEWAY", address="10.0.0.1"))
    data = write_manifest(manifest)
    assert read_manifest([data]) == manifest
    assert read_manifest(data[i : i + 1] for i in range(len(data))) == manifest
    assert read_manifest(io.BytesIO(data)) == manifest


def test_the_same_facts_give_the_same_bytes_in_any_time_zone(contents: list[bytes]) -> None:
    """A manifest is a pure function of its facts: its digest can be compared."""
    east = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    one = write_manifest(manifest_of(contents, received=east))
    assert one == write_manifest(manifest_of(contents, received=east.astimezone(UTC)))
    assert b'"received":"2026-01-01T10:00:00Z"' in one


def test_an_instance_takes_about_a_kilobyte_at_most(longest_instance: Instance) -> None:
    """A line with the longest UIDs, every digest, token and routing attribute stays small."""
    manifest = Manifest(form="identified", id="x", instances=(longest_instance,))
    line = write_manifest(manifest).splitlines()[1]
    assert len(line) < 1600
    ordinary = write_manifest(manifest_of([b"DICM" + bytes(500)])).splitlines()[1]
    assert len(ordinary) < 1024


def test_instances_are_read_one_by_one(contents: list[bytes]) -> None:
    """The reader asks for no more lines than it was asked to give."""
    lines = write_manifest(manifest_of(contents)).splitlines(keepends=True)
    given: list[int] = []

    def source():
        for number, line in enumerate(lines):
            given.append(number)
            yield line

    head, instances = open_manifest(source())
    assert head.id == "batch-1"
    assert next(instances).entry == "000001.dcm"
    assert given == [0, 1]


@pytest.mark.parametrize(
    "index", [NativeFrames(offset=300, size=512, count=7), Fragments(fragments=((8, 10), (26, 4)))]
)
def test_a_pixel_index_keeps_its_kind(index: NativeFrames | Fragments) -> None:
    """Native frames and fragments are told apart when read."""
    manifest = Manifest(form="identified", id="x", instances=(describe(b"DICM" + bytes(99), pixels=index),))
    assert read_manifest([write_manifest(manifest)]).instances[0].pixels == index


def test_an_index_of_too_many_fragments_is_refused() -> None:
    """A writer must omit such an index, with the flag, so that a line stays bounded."""
    with pytest.raises(ValidationError):
        Fragments(fragments=tuple((i, 1) for i in range(4097)))


def test_hostile_routing_attributes_are_cut_not_refused() -> None:
    """What a modality writes into a routing attribute never makes the instance unstorable."""
    routing = Routing.model_validate({"modality": "M" * 500, "image_type": ["I" * 500] * 500, "burned_in": "perhaps"})
    assert (len(routing.modality or ""), len(routing.image_type), len(routing.image_type[0])) == (64, 8, 64)
    assert routing.burned_in is None
    assert Routing.model_validate({"burned_in": "YES "}).burned_in is True


def test_a_merged_manifest_is_that_of_its_batches_one_after_the_other(contents: list[bytes]) -> None:
    """Entries are numbered through, offsets recomputed, everything else is as it was."""
    first, second = manifest_of(contents[:2]), manifest_of(contents[2:], named="batch-2")
    merged = merge([first, second], id="pack-1")
    assert [each.entry for each in merged.instances] == [f"00000{n}.dcm" for n in (1, 2, 3, 4)]
    assert [each.offset for each in merged.instances] == [each.offset for each in manifest_of(contents).instances]
    unplaced = {"entry": "000001.dcm", "offset": 0}
    before = [each.model_copy(update=unplaced) for batch in (first, second) for each in batch.instances]
    assert [each.model_copy(update=unplaced) for each in merged.instances] == before


def test_a_merged_manifest_names_a_source_only_when_all_agree(contents: list[bytes]) -> None:
    """The earliest time stays; a source that is not everybody's does not."""
    early = datetime(2026, 1, 1, tzinfo=UTC)
    one = manifest_of(contents, source=Source(calling_ae="CT1"), received=early + timedelta(hours=1))
    two = manifest_of(contents, source=Source(calling_ae="CT2"), received=early)
    assert merge([one, one], id="p").source == Source(calling_ae="CT1")
    assert merge([one, two], id="p").source is None
    assert merge([one, two], id="p").received == early


def test_batches_of_two_studies_make_no_pack(contents: list[bytes]) -> None:
    """A pack is of one study, or of none."""
    with pytest.raises(ValueError, match="one study"):
        merge([manifest_of(contents), manifest_of(contents, study_uid="1.2.4")], id="p")


@pytest.mark.parametrize(
    "more",
    [{"source": Source(calling_ae="CT1")}, {"received": datetime(2026, 1, 1, tzinfo=UTC)}, {"study_ref": "x"}],
)
def test_a_deidentified_manifest_cannot_name_its_origin(more: dict[str, object]) -> None:
    """Source, time and study_ref are refused, in the model as on reading."""
    with pytest.raises(ValidationError):
        Manifest.model_validate({"form": "deidentified", "id": "x", "instances": ()} | more)


def test_a_deidentified_manifest_cannot_carry_match_tokens() -> None:
    """A token under the site key would tie the de-identified instance to the patient."""
    with pytest.raises(ValidationError):
        Manifest(form="deidentified", id="x", instances=(describe(b"DICM", routing=Routing(patient_token="a" * 32)),))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "manifest-empty"),
        (b"{}\n", "manifest-head"),
        (b'{"format":"causeway.manifest/2","form":"identified","id":"x"}\n', "manifest-head"),
        (b'{"form":"identified","id":"x"}\n{"entry":"../../etc/passwd"}\n', "manifest-instance"),
        (b'{"form":"identified","id":"x"}', "line-cut-short"),
        (b"x" * 300_000, "line-too-long"),
    ],
)
def test_what_is_no_manifest_is_refused_with_a_code(data: bytes, reason: str) -> None:
    """The reason is a fixed code and says nothing of the input."""
    with pytest.raises(ManifestBroken) as caught:
        read_manifest([data])
    assert str(caught.value) == reason


def test_members_of_later_versions_are_ignored() -> None:
    """An old reader reads what a newer writer of the same major wrote."""
    data = write_manifest(manifest_of([b"DICM"])).replace(b'{"entry"', b'{"later":1,"entry"')
    assert read_manifest([data]) == manifest_of([b"DICM"])


def test_no_archive_has_a_seven_digit_entry() -> None:
    """Entry names have one length, so that offsets depend on lengths alone."""
    one = describe(b"DICM")
    with pytest.raises(ValueError, match="999,999"):
        for _ in place(one for _ in range(1_000_000)):
            pass
