"""What a value may look like: padding proves nothing, and numbers may spell text."""

import struct
from io import BytesIO
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from services.deid.domain.dataset import Element, Elements, encode, encoding_of
from services.deid.domain.options import Option
from services.deid.domain.reading import parse
from services.deid.domain.values import is_coded, is_harmless, is_number, is_uids, spells_text
from tests.support.instances import as_file, make_instances
from tests.unit.deid.content_items import STRUCTURED, code, content_item, measured, report, using
from tests.unit.deid.originals import clean, describe, trusting

PADDED = frozenset(("AE", "CS", "DS", "IS", "LO", "SH", "UI", "UT", "UC"))
NAME = b"Zwetschkenbaum Xaver"


def padded(elements: Elements, pad: bytes) -> Elements:
    """Every text with so much behind it."""
    return tuple(
        each._replace(items=tuple(padded(item, pad) for item in each.items))
        if each.items is not None
        else each._replace(value=each.value + pad if each.vr in PADDED and each.value else each.value)
        for each in elements
    )


@pytest.mark.parametrize("pad", [b"\0", b"\0\0", b"\0\0\0", b" \0 \0"])
def test_nothing_is_lost_or_withheld_for_what_pads_it(pad: bytes) -> None:
    """A report whose every text ends with NULs."""
    finding = ("CODE", ("121071", "DCM", "Finding"), {"ConceptCodeSequence": [code("M", "DCM", "Male")]})
    items = [content_item(*finding, []), content_item("NUM", ("410668003", "SCT", "Length"), measured("7", "mm"), [])]
    plain = as_file(report(items))
    told = describe(plain)
    encoding = encoding_of(told.transfer_syntax)
    file = plain[: told.dataset_offset] + encode(padded(parse(plain[told.dataset_offset :], encoding), pad), encoding)
    out, expected = (dcmread(BytesIO(clean(each, using(STRUCTURED))[1])) for each in (file, plain))
    assert texts(out) == texts(expected)
    assert out.ContentSequence[0].ValueType == "CODE"


def texts(dataset: Dataset) -> list[str]:
    """Every value as it reads."""
    return [f"{each.tag} {str(each.value).strip(chr(0) + ' ')}" for each in dataset.iterall() if each.VR != "SQ"]


@pytest.mark.parametrize("pad", [b"", b" ", b"\0\0\0", b"\0 "])
def test_padding_changes_no_judgement(pad: bytes) -> None:
    assert is_coded(b"HEAD" + pad + b"\\NECK" + pad) and not is_coded(b"Head" + pad)
    assert is_number(b"1.5" + pad + b"\\2" + pad) and not is_number(b"one" + pad)
    assert is_uids(b"1.2.840" + pad) and not is_uids(b"1.2.a" + pad)
    assert is_harmless(b"T1 axial" + pad) and not is_harmless(b"a@b" + pad) and not is_harmless(b"a\1" + pad)
    assert not is_coded(b"HEAD" + pad + b"x")


@pytest.mark.parametrize(
    ("value", "vr"),
    [
        (NAME, "US"),
        (NAME, "UL"),
        (b"078051120 ", "SS"),
        (b"\1\0\2\0" + NAME + b"\3\0", "OB"),
        (NAME.decode().encode("utf-16-le"), "US"),
        (NAME.decode().encode("utf-16-be"), "SS"),
        (NAME.decode().encode("utf-32-le"), "UL"),
    ],
)
def test_numbers_may_spell_text(value: bytes, vr: str) -> None:
    """Two letters in each number, or one."""
    assert spells_text(value, vr)


@pytest.mark.parametrize(
    ("value", "vr"),
    [
        (struct.pack("<8H", *range(65, 73)), "US"),
        (bytes(range(256)), "OB"),
        (struct.pack("<256H", *range(0, 65536, 256)), "OW"),
        (struct.pack("<6H", 512, 512, 4096, 12, 16, 16705), "US"),
        (struct.pack("<6d", 0.1, 1 / 3, 2.5, -7.25, 1e9, 3.14159), "FD"),
        (struct.pack("<4f", 65.0, 66.5, 1000.0, 48.0), "FL"),
        (b"AB", "US"),
        (b"", "US"),
    ],
)
def test_measures_and_tables_spell_none(value: bytes, vr: str) -> None:
    assert not spells_text(value, vr)


@pytest.mark.parametrize(
    ("tag", "vr"), [(0x00280106, "US"), (0x00209157, "UL"), (0x00720078, "US"), (0x00189089, "FD")]
)
def test_text_in_numbers_does_not_go_out(tag: int, vr: str) -> None:
    """Nobody's whom the header knows."""
    value = NAME + b" 1234" * 3 + b"\0" * 5

    def cleaned(value: bytes) -> Any:
        (slice_,) = make_instances(1)
        plain = as_file(slice_)
        told = describe(plain)
        encoding = encoding_of(told.transfer_syntax)
        head = parse(plain[told.dataset_offset :][: told.header_length], encoding)
        head = tuple(sorted((*(each for each in head if each.tag != tag), Element(tag, vr, value))))
        pixels = plain[told.dataset_offset + told.header_length :]
        file = plain[: told.dataset_offset] + encode(head, encoding) + pixels
        return clean(file, trusting())[1]

    assert NAME not in cleaned(value)
    assert bytes(range(40)) in cleaned(bytes(range(40)))


def test_text_in_a_retained_number_does_not_go_out() -> None:
    """Pregnancy Status is a single US."""
    (slice_,) = make_instances(1)
    slice_.add_new(0x001021C0, "US", list(struct.unpack("<10H", NAME)))
    using_ = trusting(profile=using(Option.PATIENT_CHARACTERISTICS).profile)
    assert NAME not in clean(as_file(slice_), using_)[1]
