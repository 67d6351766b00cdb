"""Files of a series are told the same, whether or not their headers are passed over as far as they came before."""

import random
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from cli.dicom_files import Outgoing, Problem, Skipped, examine
from cli.outlines import NOTHING, Outlines
from services.dicom_ingest.domain.bounds import Bounds
from tests.support.instances import make_instances

SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]


def with_sequence(image: Dataset) -> Dataset:
    """The same with a sequence whose length is not told, which has two items and a sequence in each."""
    items = []
    for _ in range(2):
        inner = Dataset()
        inner.CodeValue = "T-A0100"
        item = Dataset()
        item.ReferencedSOPInstanceUID = "1.2.3"
        item.PurposeOfReferenceCodeSequence = [inner]
        items.append(item)
    image.ReferencedImageSequence = items
    image["ReferencedImageSequence"].is_undefined_length = True
    return image


def series(folder: Path, syntax: str) -> list[Path]:
    """Six slices of other UIDs, numbers and places, in ``syntax``."""
    paths = []
    for number, image in enumerate(make_instances(6)):
        image.InstanceNumber = 10**number
        image.SliceLocation = number * 1.5
        path = folder / f"{number}.dcm"
        little = syntax != ExplicitVRBigEndian
        with_sequence(image).file_meta.TransferSyntaxUID = UID(syntax)
        implicit = syntax == ImplicitVRLittleEndian
        image.save_as(path, implicit_vr=implicit, little_endian=little, enforce_file_format=True)
        paths.append(path)
    return paths


def told(path: Path, outlines: Outlines | None = None) -> tuple[Outgoing | Problem | Skipped, object]:
    """What is told of a file, with its pixels, which do not count when two are compared."""
    found = examine(path, outlines)
    return found, getattr(found, "pixels", None)


def header(path: Path) -> tuple[bytes, int]:
    """The data set, and where its pixels begin."""
    found = examine(path)
    assert isinstance(found, Outgoing) and found.pixels
    return path.read_bytes()[found.offset :], found.pixels.at


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_header_like_those_before_it_is_passed_over_to_its_pixels(syntax: str, tmp_path: Path) -> None:
    outlines, paths = Outlines(), series(tmp_path, syntax)
    for path in paths[:2]:
        examine(path, outlines)
    for path in paths[2:]:
        data, pixels = header(path)
        passed = outlines.passed(syntax, data)
        assert passed.end == pixels
        assert told(path, outlines) == told(path)


def test_what_is_passed_over_counts(tmp_path: Path) -> None:
    """As many elements as there are: with those in the items of the sequence, which are four beside the inner ones."""
    outlines, paths = Outlines(), series(tmp_path, ExplicitVRLittleEndian)
    for path in paths[:2]:
        examine(path, outlines)
    data, _ = header(paths[2])
    top = len(make_instances(1)[0]) - 1  # all but the pixels
    image = make_instances(1)[0]
    own = sum(each not in image for each in ("InstanceNumber", "SliceLocation", "ReferencedImageSequence"))
    bounds = outlines.passed(ExplicitVRLittleEndian, data).bounds
    assert Bounds().elements - bounds.elements == top + own + 2 * 3
    assert Bounds().items - bounds.items == 2 * 2


def test_a_sequence_that_holds_fragments_is_always_walked(tmp_path: Path) -> None:
    """Fragments are counted all together, so none is passed over."""
    image = with_sequence(make_instances(1)[0])
    path = tmp_path / "icon.dcm"
    image.save_as(path, enforce_file_format=True)
    fragment = b"\xfe\xff\x00\xe0\x00\x00\x00\x00" + b"\xfe\xff\x00\xe0\x02\x00\x00\x00\x01\x02"
    icon = b"\x09\x00\x10\x10OB\x00\x00\xff\xff\xff\xff" + fragment + b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    data = path.read_bytes()
    at = data.index(b"\x10\x00\x10\x00PN")
    path.write_bytes(data[:at] + icon + data[at:])
    outlines = Outlines()
    assert told(path, outlines) == told(path)
    found, pixels = header(path)
    assert 0 < outlines.passed(ExplicitVRLittleEndian, found).end == found.index(icon) < pixels


def test_a_header_of_other_elements_is_walked(tmp_path: Path) -> None:
    outlines, paths = Outlines(), series(tmp_path, ExplicitVRLittleEndian)
    for path in paths[:3]:
        examine(path, outlines)
    data, _ = header(paths[3])
    other = data.replace(b"\x20\x00\x13\x00IS", b"\x20\x00\x12\x00IS", 1)
    assert other != data
    assert outlines.passed(ExplicitVRLittleEndian, other) is NOTHING


@pytest.mark.filterwarnings("ignore::UserWarning")  # what pydicom says of damaged values
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_of_damaged_files_the_same_is_told(syntax: str, tmp_path: Path) -> None:
    """Whichever byte is another, and wherever a file ends."""
    outlines, paths, chance = Outlines(), series(tmp_path, syntax), random.Random(1)
    for path in paths[:3]:
        examine(path, outlines)
    whole, kinds = paths[3].read_bytes(), set()
    for turn in range(300):
        data = bytearray(whole)
        data[chance.randrange(128, 1200)] = chance.choice((0, 1, 0xFF, chance.randrange(256)))
        damaged = tmp_path / "damaged"
        damaged.write_bytes(data[: chance.randrange(len(data))] if turn % 3 else data)
        one, other = told(damaged, outlines), told(damaged)
        assert one == other
        kinds.add(type(one[0]))
    assert kinds >= {Outgoing, Problem}
