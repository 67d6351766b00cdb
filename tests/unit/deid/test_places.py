"""Words of addresses and of the names of houses, wherever a header repeats them, whole or cut."""

from io import BytesIO
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from services.deid.domain.dataset import Element
from services.deid.domain.identifiers import Identifiers
from services.deid.domain.options import Option
from services.deid.domain.places import cut, postal_codes, words_of
from services.deid.domain.profile import Profile
from services.deid.domain.rules import standard_rules
from tests.support.instances import as_file, make_instances
from tests.unit.deid.originals import clean, trusting

SITE = {
    "InstitutionName": "Klinikum Waldesruh",
    "InstitutionAddress": "Moorweg 3\r\n12409 Kleinkleckersdorf",
    "PatientAddress": "Birkenallee 17, 80331 Entenhausen",
    "RequestingService": "Onkozentrum Nordwestwald",
}


def cleaned(*options: Option, **attributes: Any) -> Dataset:
    """A CT slice of this site, de-identified with these options."""
    (slice_,) = make_instances(1, **SITE, **attributes)
    using = Profile("trial", options=frozenset(options))
    return dcmread(BytesIO(clean(as_file(slice_), trusting(profile=using))[1]))


def of(tag: int, value: str, *options: Option) -> Identifiers:
    """The identifiers of a data set with this value."""
    names = Identifiers(standard_rules().under(Profile("trial", options=frozenset(options))))
    names.note_all([Element(0x00080005, "CS", b"ISO_IR 192"), Element(tag, "LO", value.encode())])
    return names


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ManufacturerModelName", "Waldesruh"),
        ("ManufacturerModelName", "CT Waldesruh 2"),
        ("ManufacturerModelName", "CT_WALDESRUH_2"),
        ("SoftwareVersions", "WaldesruhStation"),
        ("BodyPartExamined", "WALDESRUH"),
        ("BodyPartExamined", "KLINIKUM WALDESR"),
        ("ConvolutionKernel", "KLINIKUM WALDESR"),
        ("SoftwareVersions", "CT WALDESRU"),
        ("ApplicationName", "Entenhausen"),
        ("ReceiveCoilName", "Birkenallee"),
        ("ConvolutionKernel", "Kleinkleckers"),
        ("DetectorManufacturerName", "Moorweg"),
        ("DetectorManufacturerName", "Nordwestwald"),
        ("SoftwareVersions", "80331"),
        ("SoftwareVersions", "v80331"),
    ],
)
def test_words_of_the_site_and_of_addresses_go_wherever_they_stand(keyword: str, value: str) -> None:
    """Operators call devices and kernels after the house; a CS or SH takes 16 characters of its name."""
    assert not cleaned(**{keyword: value}).get(keyword)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ManufacturerModelName", "Klinik Edition 2"),
        ("ManufacturerModelName", "Birkenau"),
        ("SoftwareVersions", "1.80331"),
        ("SoftwareVersions", "803312"),
        ("SoftwareVersions", "3.17"),
        ("Manufacturer", "SIEMENS"),
    ],
)
def test_what_tells_no_place_stays(keyword: str, value: str) -> None:
    """Words of all houses, other words, a part of a number."""
    assert cleaned(**{keyword: value})[keyword].value == value


def test_an_institution_that_is_retained_is_not_searched_for() -> None:
    out = cleaned(Option.INSTITUTION_IDENTITY, ManufacturerModelName="CT Waldesruh 2")
    assert (out.InstitutionName, out.ManufacturerModelName) == ("Klinikum Waldesruh", "CT Waldesruh 2")


@pytest.mark.parametrize(
    "name",
    ["Siemens Healthineers Erlangen", "Philips Research", "Universitätsklinikum", "Boston Medical Center", "Radiology"],
)
@pytest.mark.parametrize("text", ["Siemens Healthineers", "Philips", "Boston Scientific", "Chest Radiology", "KLINIK"])
def test_makers_and_words_of_every_house_tell_no_place(name: str, text: str) -> None:
    assert not of(0x00080080, name).in_text(text)


def test_a_word_is_found_in_each_spelling() -> None:
    names = of(0x00101040, "Mühlbachgässle 4, 79098 Łódź-Bałuty\\улица Щербаковская 3")
    for text in ("Muehlbachgaessle", "MUHLBACHGASSLE", "Bałuty", "baluty", "Shcherbakovskaya", "at 79098"):
        assert names.in_text(text), text


def test_pieces_of_a_word_stand_alone() -> None:
    """Eight letters and more, which are no word themselves."""
    names = of(0x00080080, "Radiologiezentrum Entenhausen")
    assert names.in_text("CT ENTENHAUS")
    assert not names.in_text("Entenhausierer")
    assert not names.in_text("Entenha")
    assert not names.in_text("Radiologie")


def test_what_a_value_is_cut_to() -> None:
    assert list(words_of("Am Klinikum Waldesruh 7", frozenset())) == ["waldesruh"]
    assert list(words_of("Am Klinikum Waldesruh 7", frozenset({"waldesruh"}))) == []
    assert list(cut("Klinikum Waldesruh", frozenset())) == ["klinikum waldesr"]
    assert list(cut("Universitätsklinik Waldesruh", frozenset())) == []


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("80331 Entenhausen", ["80331"]),
        ("00-950 Warszawa", ["00950"]),
        ("London SW1A 1AA", ["sw1a1aa"]),
        ("1017 AB Amsterdam", ["1017ab"]),
        ("Ottawa K1A 0B1", ["k1a0b1"]),
        ("12345 Anywhere, 10000 Zagreb, 11111, 1234567, Room 12", []),
    ],
)
def test_postal_codes(text: str, codes: list[str]) -> None:
    """Round numbers and examples are any number."""
    assert list(postal_codes(text)) == codes


def test_a_postal_code_is_no_number_of_a_study() -> None:
    """In measures and UIDs, which hold five and six digits by chance, it is not searched for."""
    names = of(0x00101040, "Birkenallee 17, 110017 Entenhausen")
    assert names.in_text("v 110017")
    assert not names.in_decimals(b"110017")
    assert not names.in_uids(b"1.2.826.110017.3")
